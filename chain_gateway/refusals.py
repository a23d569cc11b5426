"""The contract's errors as reasons: one table (``contracts/src/IVirtualGroups.sol``, ``docs/protocol.md`` §9)."""

from chain_gateway.contract_abi import SELECTOR_BYTES, ContractAbi
from group_protocol.errors import ContractRefusal, Reason, RegistryInconsistent
from group_protocol.identifiers import ADDRESS_BYTES, Address, derive_object_id
from group_protocol.ports import AssociationRequest

_PREFIX = "VirtualGroups_"

_MESSAGES: dict[Reason, tuple[str, str]] = {
    Reason.DEADLINE_PASSED: (
        "the deadline {0} (unix seconds) is before the chain's time",
        "Sign the request again with a later deadline; if that fails too, check this machine's clock.",
    ),
    Reason.BAD_SIGNATURE: (
        "the signature is not that of the one whose act this is",
        "Check that the right key signed, for this chain and this contract.",
    ),
    Reason.OBJECT_ID_IN_USE: (
        "the object id {0} belongs to an object already",
        "If it is this device, it is a member; otherwise give the device a new key.",
    ),
    Reason.OBJECT_REVOKED: (
        "the object {0} was revoked",
        "Revocation is final: give the device a new key and pair it again.",
    ),
    Reason.ADDRESS_IN_USE: ("the address {0} is or was an object's", "Use a key that was never used here."),
    Reason.UNKNOWN_GROUP: (
        "there is no group {0}",
        "Check the group id, the chain and the contract.",
    ),
    Reason.GROUP_ID_IN_USE: ("the group {0} exists already", "Create the group with another salt."),
    Reason.TOKEN_REFUSED: (
        "the token was not signed by the group's master for this device",
        "Ask the master for a new ticket.",
    ),
    Reason.UNKNOWN_OBJECT: ("there is no object {0}", "Associate it first."),
    Reason.NOT_IN_GROUP: ("the object {0} belongs to another group", "Use the group that it belongs to."),
    Reason.STALE_EPOCH: ("the group's epoch is {0}", "Sign again under that epoch."),
    Reason.SEQ_NOT_RISING: ("the sender's last recorded seq is {0}", "Record exchanges in rising order of seq."),
    Reason.ZERO_ADDRESS: ("the zero address is nobody's", "Name the address of a key."),
    Reason.NOT_A_SLAVE: ("the object {0} is a master", "A master is not revoked, and changes its key by rotateMaster."),
    Reason.BAD_RANGE: ("{0} is greater than {1}", "Give the smaller number first."),
}

_REASONS: dict[str, Reason] = {
    f"{_PREFIX}{''.join(word.capitalize() for word in reason.name.split('_'))}": reason for reason in _MESSAGES
}
"""``VirtualGroups_DeadlinePassed`` → DEADLINE_PASSED, and so on: the contract and §9 use the same words."""


def known_errors() -> frozenset[str]:
    """Names of the contract's errors that have a reason here."""
    return frozenset(_REASONS)


def refusal_of_revert(abi: ContractAbi, output: bytes) -> ContractRefusal | RegistryInconsistent:
    """What a revert means.

    A revert with anything but the contract's own errors cannot come from the contract that we deployed.
    """
    error = abi.decode_error(output)
    if error is None or error.name not in _REASONS:
        return RegistryInconsistent(f"the contract refused with unknown bytes 0x{output[:36].hex()}")
    reason = _REASONS[error.name]
    message, remedy = _MESSAGES[reason]
    return ContractRefusal(reason, message.format(*map(_shown, error.arguments)), remedy=remedy)


def refusal_of_association(reason: Reason, request: AssociationRequest, account: Address | None) -> ContractRefusal:
    """What ``associate`` would have said to an item of a batch, whose event carries the reason alone.

    Args:
        reason: From AssociationRefused.
        request: The item.
        account: Who signed it, if somebody did.
    """
    signer = account or Address(bytes(ADDRESS_BYTES))
    arguments: dict[Reason, object] = {
        Reason.DEADLINE_PASSED: request.deadline_unix_s,
        Reason.UNKNOWN_GROUP: request.gid,
        Reason.ADDRESS_IN_USE: signer,
    }
    message, remedy = _MESSAGES[reason]
    argument = arguments.get(reason, derive_object_id(signer))
    return ContractRefusal(reason, message.format(*[_shown(argument)] * 2), remedy=remedy)


def reason_of_selector(abi: ContractAbi, selector: bytes) -> Reason:
    """The reason in an AssociationRefused event. Raises RegistryInconsistent for bytes that are no error's."""
    name = abi.error_name(selector[:SELECTOR_BYTES])
    if name is None or name not in _REASONS:
        raise RegistryInconsistent(f"a refusal names the unknown error 0x{selector.hex()}")
    return _REASONS[name]


def _shown(argument: object) -> str:
    return f"0x{argument.hex()}" if isinstance(argument, bytes) else str(argument)
