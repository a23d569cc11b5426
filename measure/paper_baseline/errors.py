"""What can go wrong in the paper's flow."""

from enum import StrEnum


class PaperBaselineError(Exception):
    """Base of every error of this package."""


class NotLoopbackError(PaperBaselineError):
    """Somebody tried to use the baseline on an address that is not 127.0.0.0/8 or ::1."""


class MalformedMessage(PaperBaselineError):
    """The peer's bytes are not the message that this step takes."""


class MasterRefused(PaperBaselineError):
    """The master answered a slave's request with anything but success.

    Attributes:
        status: the HTTP status of the answer.
    """

    def __init__(self, path: str, status: int) -> None:
        self.status = status
        super().__init__(f"the master refused {path} with HTTP status {status}")


class Reason(StrEnum):
    """Why a rule of the paper refuses: each names its check in Algorithms 1 and 3 or section 4.2 b.4."""

    OBJECT_ID_IN_USE = "checkOID: the object id is in use"
    ADDRESS_IN_USE = "checkAddr: the address is in use"
    GROUP_ID_IN_USE = "checkGID: the group id is in use"
    UNKNOWN_GROUP = "checkGID: there is no such group"
    TOKEN_INVALID = "tokenVerify: the token is not the group master's signature"  # noqa: S105 - a reason, not a secret
    SIGNATURE_INVALID = "signVeri: the signature is not the sender's"
    UNKNOWN_OBJECT = "checkOID: there is no such object"
    NOT_A_MEMBER = "the object is not in this group"
    NO_SESSION = "no session key was shared with this object id"
    NO_TICKET = "no ticket was asked for under this object id"


class Refused(PaperBaselineError):
    """A rule of the paper refuses the request.

    Attributes:
        reason: the rule.
    """

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)
