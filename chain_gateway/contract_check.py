"""Whether our contract stands somewhere, byte for byte."""

from chain_gateway.chain_reader import CodeReader
from contracts import ContractArtifact
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import RegistryInconsistent
from group_protocol.ports import RegistryIdentity
from group_protocol.typed_data import TypedDataDomain

_WORD_BYTES = 32
_WRONG_CONTRACT = "Check the contract's address and the chain, or deploy the contract anew."


async def check_contract(node: CodeReader, artifact: ContractArtifact, identity: RegistryIdentity) -> None:
    """Check that our contract, set up for this chain and address, stands there.

    Raises:
        RegistryInconsistent: Another chain, no code, other code, or our code with other immutable values.
    """
    chain_id = await node.fetch_chain_id()
    if chain_id != identity.chain_id:
        raise RegistryInconsistent(
            f"the node's chain has id {chain_id}, not {identity.chain_id}",
            remedy="Check the node's URL.",
            code=ErrorCode.WRONG_CHAIN,
        )
    code = await node.fetch_code(identity.contract)
    if not code:
        raise RegistryInconsistent(
            f"no contract stands at 0x{identity.contract.hex()}", remedy=_WRONG_CONTRACT, code=ErrorCode.WRONG_CONTRACT
        )
    expected = {identity.chain_id.to_bytes(_WORD_BYTES, "big"), TypedDataDomain(identity).separator}
    found = {code[place.start : place.start + place.length_bytes] for place in artifact.immutable_references}
    if not artifact.matches_runtime(code) or found != expected:
        raise RegistryInconsistent(
            f"another contract stands at 0x{identity.contract.hex()}, or another version of ours",
            remedy=_WRONG_CONTRACT,
            code=ErrorCode.WRONG_CONTRACT,
        )
