"""The register on a throw-away chain, called by the names of its functions."""

from typing import Any, NamedTuple, Self, cast

from eth_abi.abi import decode, encode
from eth_typing import ABIElement
from eth_utils.abi import abi_to_signature, get_abi_input_types, get_abi_output_types
from eth_utils.crypto import keccak

from contracts.compiled import ContractArtifact, load_artifact
from tests.contract.acts import Acts
from tests.contract.local_evm import LocalEvm, Outcome


class Named(NamedTuple):
    """A decoded event or error."""

    name: str
    arguments: dict[str, Any]


class LocalRegister:
    """A deployed register.

    Args:
        evm: The chain.
        artifact: The contract; its ABI encodes and decodes.
        address: Where it stands, 20 bytes.
    """

    def __init__(self, evm: LocalEvm, artifact: ContractArtifact, address: bytes) -> None:
        self.evm = evm
        self.address = address
        self.acts = Acts(evm.chain_id, address)
        elements = [cast("ABIElement", element) for element in artifact.abi]
        self._functions = {element["name"]: element for element in elements if element["type"] == "function"}
        self._events = {keccak(text=abi_to_signature(item)): item for item in elements if item["type"] == "event"}
        self._errors = {keccak(text=abi_to_signature(item))[:4]: item for item in elements if item["type"] == "error"}

    @property
    def errors(self) -> dict[bytes, str]:
        """The names of the contract's errors by their selectors."""
        return {selector: str(element["name"]) for selector, element in self._errors.items()}

    @classmethod
    def deploy(cls, evm: LocalEvm, artifact: ContractArtifact | None = None) -> Self:
        """Deploy the committed artifact, or another."""
        artifact = artifact or load_artifact()
        return cls(evm, artifact, evm.transact(b"", artifact.creation_bytecode).created)

    def encode(self, function: str, *arguments: Any) -> bytes:
        """Return a call's bytes."""
        element = self._functions[function]
        types = get_abi_input_types(element)
        return keccak(text=abi_to_signature(element))[:4] + encode(types, arguments)

    def send(self, function: str, *arguments: Any, value_wei: int = 0) -> Outcome:
        """Send a transaction, good or bad."""
        return self.evm.transact(self.address, self.encode(function, *arguments), value_wei=value_wei)

    def call(self, function: str, *arguments: Any) -> Outcome:
        """Call, good or bad, and change nothing."""
        return self.evm.call(self.address, self.encode(function, *arguments))

    def read(self, function: str, *arguments: Any) -> Any:
        """Call and return the one value that comes back; a struct is a tuple.

        Raises:
            ValueError: The call was refused; the message is the decoded error.
        """
        outcome = self.call(function, *arguments)
        if not outcome.succeeded:
            raise ValueError(str(self.refusal(outcome)))
        return decode(get_abi_output_types(self._functions[function]), outcome.output)[0]

    def events(self, outcome: Outcome) -> list[Named]:
        """Decode what a transaction emitted."""
        found = []
        for log in outcome.logs:
            element: Any = self._events[log.topics[0]]
            indexed = [part for part in element["inputs"] if part["indexed"]]
            others = [part for part in element["inputs"] if not part["indexed"]]
            arguments = {
                part["name"]: decode([part["type"]], topic)[0]
                for part, topic in zip(indexed, log.topics[1:], strict=True)
            }
            values = decode([part["type"] for part in others], log.payload)
            found.append(
                Named(element["name"], arguments | dict(zip((p["name"] for p in others), values, strict=True)))
            )
        return found

    def refusal(self, outcome: Outcome) -> Named:
        """Decode why a transaction or call was refused.

        Raises:
            ValueError: It was not, or with an error that is not in the ABI.
        """
        if outcome.succeeded or outcome.output[:4] not in self._errors:
            raise ValueError(f"no error of the contract: {outcome}")
        element: Any = self._errors[outcome.output[:4]]
        values = decode([part["type"] for part in element["inputs"]], outcome.output[4:])
        return Named(element["name"], dict(zip((part["name"] for part in element["inputs"]), values, strict=True)))
