"""The contract's ABI: calldata, return values, events and errors as bytes. All of it comes from the artifact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError as AbiDecodingError
from eth_abi.exceptions import EncodingError as AbiEncodingError
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic, function_abi_to_4byte_selector

from chain_gateway.node_answers import RawLog
from group_protocol.errors import LocalProtocolError, RegistryInconsistent

WORD_BYTES = 32
SELECTOR_BYTES = 4

AbiEntry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Function:
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    name: str
    indexed: tuple[str, ...]
    """Names of the values in the topics, then..."""
    plain: tuple[str, ...]
    """...of those in the payload."""
    types: tuple[str, ...]
    """Types of both, in that order; each fills one word."""


@dataclass(frozen=True, slots=True)
class DecodedError:
    """One of the contract's errors with its arguments: addresses as 0x…, bytes as bytes."""

    name: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class ContractAbi:
    """Encodes calls and decodes what comes back, strictly: lengths, padding and unknown selectors are refused."""

    _functions: Mapping[str, _Function]
    _events: Mapping[bytes, _Event]
    _errors: Mapping[bytes, tuple[str, tuple[str, ...]]]

    @classmethod
    def from_json(cls, abi: Sequence[AbiEntry]) -> Self:
        """Take the ABI as solc writes it."""
        functions, errors = _entries(abi, "function"), _entries(abi, "error")
        return cls(
            {
                entry["name"]: _Function(_selector(entry), _types(entry["inputs"]), _types(entry["outputs"]))
                for entry in functions
            },
            {event_abi_to_log_topic(entry): _event(entry) for entry in _entries(abi, "event")},  # type: ignore[arg-type]
            {_selector(entry): (entry["name"], _types(entry["inputs"])) for entry in errors},
        )

    @property
    def error_names(self) -> frozenset[str]:
        """Names of all errors that the contract declares."""
        return frozenset(name for name, _ in self._errors.values())

    @property
    def event_names(self) -> frozenset[str]:
        """Names of all events that the contract declares."""
        return frozenset(event.name for event in self._events.values())

    def event_topic(self, name: str) -> bytes:
        """First topic (32 bytes) of the event's logs."""
        return next(topic for topic, event in self._events.items() if event.name == name)

    def encode_call(self, function: str, *arguments: object) -> bytes:
        """Calldata: the selector and the arguments (addresses and fixed bytes as bytes, structs as tuples).

        Raises:
            LocalProtocolError: An argument is out of its type's range.
        """
        entry = self._functions[function]
        try:
            return entry.selector + encode(entry.inputs, arguments)
        except AbiEncodingError as exc:
            raise LocalProtocolError(f"a value for {function} is out of range: {exc}") from exc

    def decode_result(self, function: str, output: bytes) -> tuple[Any, ...]:
        """What a view returned; a struct as one tuple.

        Raises:
            RegistryInconsistent: The bytes are no such values: no contract of ours stands there.
        """
        try:
            return decode(self._functions[function].outputs, output)
        except AbiDecodingError as exc:
            raise RegistryInconsistent(f"{function} returned {len(output)} bytes that are not its result") from exc

    def decode_event(self, log: RawLog) -> tuple[str, dict[str, Any]]:
        """Name and values of an event.

        Raises:
            RegistryInconsistent: The contract has no such event, or its words are not as the ABI says.
        """
        event = self._events.get(log.topics[0]) if log.topics else None
        if event is None:
            raise RegistryInconsistent("the contract's log holds an event that the contract does not have")
        words = b"".join(log.topics[1:]) + log.payload
        if len(log.topics) != 1 + len(event.indexed) or len(words) != WORD_BYTES * len(event.types):
            raise RegistryInconsistent(f"the log's {event.name} has {len(words)} bytes in {len(log.topics)} topics")
        try:
            values = decode(event.types, words)
        except AbiDecodingError as exc:
            raise RegistryInconsistent(f"the log's {event.name} is not encoded as the ABI says") from exc
        return event.name, dict(zip(event.indexed + event.plain, values, strict=True))

    def decode_error(self, output: bytes) -> DecodedError | None:
        """The contract's error that a revert carries; None if it is none of the contract's."""
        name, types = self._errors.get(output[:SELECTOR_BYTES], (None, ()))
        if name is None:
            return None
        try:
            return DecodedError(name, decode(types, output[SELECTOR_BYTES:]))
        except AbiDecodingError:
            return None

    def error_name(self, selector: bytes) -> str | None:
        """The error with these 4 bytes, if the contract has one."""
        return self._errors.get(selector, (None, ()))[0]


def _entries(abi: Sequence[AbiEntry], kind: str) -> list[AbiEntry]:
    return [entry for entry in abi if entry["type"] == kind]


def _types(parameters: Sequence[AbiEntry]) -> tuple[str, ...]:
    return tuple(collapse_if_tuple(parameter) for parameter in parameters)  # type: ignore[arg-type]


def _selector(entry: AbiEntry) -> bytes:
    # An error has the selector of a function with its name and arguments (Solidity ABI specification).
    return function_abi_to_4byte_selector({**entry, "type": "function"})  # type: ignore[arg-type]


def _event(entry: AbiEntry) -> _Event:
    indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
    plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
    return _Event(
        name=entry["name"],
        indexed=tuple(parameter["name"] for parameter in indexed),
        plain=tuple(parameter["name"] for parameter in plain),
        types=_types(indexed + plain),
    )
