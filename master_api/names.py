"""Names of a group and of its devices, as an operator gives them."""

from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import Reason, RefusedError

NAME_MAX_CHARACTERS: Final = 64

INVITATIONS_MAX: Final = 1_000
"""Most pairing codes that one command makes."""


def numbered_names(name: str, count: int) -> list[str]:
    """``NAME-01``, ``NAME-02``, …: of one width, so that they sort as they count."""
    width = max(2, len(str(count)))
    return [f"{name}-{number:0{width}}" for number in range(1, count + 1)]


def require_name(name: str) -> None:
    """Raises RefusedError: It is empty, too long, or would not print."""
    if not name.strip() or len(name) > NAME_MAX_CHARACTERS or not name.isprintable():
        raise RefusedError(
            Reason.BAD_RANGE,
            f"a name has 1 to {NAME_MAX_CHARACTERS} printable characters",
            remedy="Choose another.",
            code=ErrorCode.ARGUMENT_WRONG,
        )
