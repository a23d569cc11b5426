"""Every error that this system raises on purpose, in one hierarchy.

Two questions decide where an error belongs, as in h11: *whose fault is it* (ours, or the peer's), and *who may know
about it*. A
peer that is not proven learns nothing but the uniform refusal (``docs/protocol.md`` §2); a proven one learns a
:class:`Reason`; the log and the operator learn the whole message.
"""

from enum import IntEnum


class Reason(IntEnum):
    """Why something was refused, as a u16 inside sealed answers (``docs/protocol.md`` §9)."""

    NONE = 0
    DEADLINE_PASSED = 1
    BAD_SIGNATURE = 2
    OBJECT_ID_IN_USE = 3
    OBJECT_REVOKED = 4
    ADDRESS_IN_USE = 5
    UNKNOWN_GROUP = 6
    GROUP_ID_IN_USE = 7
    TOKEN_REFUSED = 8
    UNKNOWN_OBJECT = 9
    UNKNOWN_RECEIVER = 10
    NOT_IN_GROUP = 11
    STALE_EPOCH = 12
    SEQ_NOT_RISING = 13
    ZERO_ADDRESS = 14
    NOT_A_SLAVE = 15
    BAD_RANGE = 16
    CHAIN_UNAVAILABLE = 32
    INTERNAL = 33
    MALFORMED = 34
    EVIDENCE_REQUIRED = 35
    EQUIVOCATION = 36
    NOT_A_MEMBER = 37
    TOO_LARGE = 38
    SHUTTING_DOWN = 39
    REPLACED = 40
    SESSION_EXPIRED = 41
    STORE_UNAVAILABLE = 42
    QUEUE_FULL = 43


class VirtualGroupError(Exception):
    """Base of all errors of this system.

    Attributes:
        remedy: One sentence for the user: what to do next. Empty where there is nothing to do.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class LocalProtocolError(VirtualGroupError):
    """Our own side used the protocol wrongly: a bug or a missing step, never the peer's fault."""


class RemoteProtocolError(VirtualGroupError):
    """The peer sent what the protocol does not allow. The peer is shown the uniform refusal only."""


class DecodingError(RemoteProtocolError):
    """The bytes are not a message of this protocol: length, alphabet, field set, range."""


class UnexpectedMessageError(RemoteProtocolError):
    """A well-formed message that the state machine does not allow now."""


class VerificationError(RemoteProtocolError):
    """A signature, MAC, seal, proof or cookie does not verify."""


class PairingError(RemoteProtocolError):
    """The pairing code is unknown, used up, expired or locked."""


class ReplayError(RemoteProtocolError):
    """A sealed unit's seq was used before, or lies outside the window."""


class BusyError(RemoteProtocolError):
    """A limit on open handshakes, bytes or rate is reached; the peer may try again.

    Attributes:
        retry_after_s: Whole seconds after which trying again makes sense.
    """

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(VirtualGroupError):
    """A proven peer, the master or the contract refused for a stated reason.

    Attributes:
        reason: The code as it stands in ``docs/protocol.md`` §9.
    """

    def __init__(self, reason: Reason, message: str = "", *, remedy: str = "") -> None:
        super().__init__(message or reason.name.lower().replace("_", " "), remedy=remedy)
        self.reason = reason


class ContractRefusal(RefusedError):
    """The contract's rules (Algorithms 1–3) said no. Final: sending the same again gives the same answer."""


class RegistryUnavailable(VirtualGroupError):
    """The chain or the gateway cannot be reached or gives no usable answer now. Trying again may help."""


class RegistryInconsistent(VirtualGroupError):
    """The gateway or node contradicts itself or the chain's rules, say by a receipt without its event."""


class StoreError(VirtualGroupError):
    """The record store cannot keep what it was given; nothing of it is acknowledged."""


class ConfigurationError(VirtualGroupError):
    """A setting, key file or argument is missing or wrong: the user's to mend."""
