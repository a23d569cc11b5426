"""What can go wrong with the demo itself, apart from what it checks."""

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import VirtualGroupError


class DemoFailed(VirtualGroupError):
    """A step without which the demo cannot go on did not work; the message says which, with what it printed."""

    default_code = ErrorCode.DEMO_FAILED
