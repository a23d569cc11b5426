"""Every error that this system raises on purpose, in one hierarchy.

Two questions decide where an error belongs, as in h11: *whose fault is it* (ours, or the peer's), and *who may know
about it*. A
peer that is not proven learns nothing but the uniform refusal (``docs/protocol.md`` §2); a proven one learns a
:class:`Reason`; the log and the operator learn the whole message, and the code of its page in ``docs/errors/``.
"""

from typing import ClassVar

from group_protocol.error_codes import CODE_OF_REASON, ErrorCode
from group_protocol.reasons import Reason

__all__ = [
    "BusyError",
    "ConfigurationError",
    "ContractRefusal",
    "DecodingError",
    "LocalProtocolError",
    "PairingError",
    "Reason",
    "RefusedError",
    "RegistryInconsistent",
    "RegistryUnavailable",
    "RemoteProtocolError",
    "ReplayError",
    "StoreError",
    "UnexpectedMessageError",
    "VerificationError",
    "VirtualGroupError",
]


class VirtualGroupError(Exception):
    """Base of all errors of this system.

    Attributes:
        remedy: One sentence for the user: what to do next. Empty where there is nothing to do.
        code: The name of its page; the class's own, where the place that raises it does not say more.
    """

    default_code: ClassVar[ErrorCode] = ErrorCode.PROGRAM_MISTAKE

    def __init__(self, message: str, *, remedy: str = "", code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code or self.default_code

    def as_fields(self) -> dict[str, str]:
        """For a log entry."""
        return {"error": str(self), "code": self.code, "remedy": self.remedy}


class LocalProtocolError(VirtualGroupError):
    """Our own side used the protocol wrongly: a bug or a missing step, never the peer's fault."""


class RemoteProtocolError(VirtualGroupError):
    """The peer sent what the protocol does not allow. The peer is shown the uniform refusal only."""

    default_code = ErrorCode.PEER_NOT_UNDERSTOOD


class DecodingError(RemoteProtocolError):
    """The bytes are not a message of this protocol: length, alphabet, field set, range."""


class UnknownExtensionError(DecodingError):
    """The peer asks for something that this version does not know, and says that it must not be passed over (§3.4).

    Attributes:
        extension_type: 0x8000 to 0xffff.
    """

    default_code = ErrorCode.VERSIONS_DIFFER

    def __init__(self, extension_type: int, *, remedy: str = "") -> None:
        super().__init__(f"critical extension {extension_type:#06x} is unknown", remedy=remedy)
        self.extension_type = extension_type


class UnexpectedMessageError(RemoteProtocolError):
    """A well-formed message that the state machine does not allow now."""


class VerificationError(RemoteProtocolError):
    """A signature, MAC, seal, proof or cookie does not verify."""

    default_code = ErrorCode.PEER_NOT_PROVEN


class UnknownMasterError(VerificationError):
    """Whoever answers signs with another key than the pinned one: a stranger, or our master's next key (§3.5)."""

    default_code = ErrorCode.ANOTHER_MASTER


class PairingError(RemoteProtocolError):
    """The pairing code is unknown, used up, expired or locked."""

    default_code = ErrorCode.PAIRING_CODE_REFUSED


class ReplayError(RemoteProtocolError):
    """A sealed unit's seq was used before, or lies outside the window."""


class LateInvitationError(PairingError):
    """The code expired, and whoever brings it proved that it has it: the one thing that a code's holder is told of."""


class BusyError(RemoteProtocolError):
    """A limit on open handshakes, bytes or rate is reached; the peer may try again.

    Attributes:
        retry_after_s: Whole seconds after which trying again makes sense.
    """

    default_code = ErrorCode.BUSY

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(VirtualGroupError):
    """A proven peer, the master or the contract refused for a stated reason.

    Attributes:
        reason: The code as it stands in ``docs/protocol.md`` §9.
    """

    def __init__(self, reason: Reason, message: str = "", *, remedy: str = "", code: ErrorCode | None = None) -> None:
        text = message or reason.name.lower().replace("_", " ")
        super().__init__(text, remedy=remedy, code=code or CODE_OF_REASON[reason])
        self.reason = reason


class ContractRefusal(RefusedError):
    """The contract's rules (Algorithms 1–3) said no. Final: sending the same again gives the same answer."""


class RegistryUnavailable(VirtualGroupError):
    """The chain or the gateway cannot be reached or gives no usable answer now. Trying again may help."""

    default_code = ErrorCode.CHAIN_UNREACHABLE


class RegistryInconsistent(VirtualGroupError):
    """The gateway or node contradicts itself or the chain's rules, say by a receipt without its event."""

    default_code = ErrorCode.CHAIN_CONTRADICTS


class StoreError(VirtualGroupError):
    """The record store cannot keep what it was given; nothing of it is acknowledged."""

    default_code = ErrorCode.STORE_FAILED


class ConfigurationError(VirtualGroupError):
    """A setting, key file or argument is missing or wrong: the user's to mend."""

    default_code = ErrorCode.ARGUMENT_WRONG
