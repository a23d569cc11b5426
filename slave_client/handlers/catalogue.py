"""Finding a handler by its name."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.ports import Clock
from slave_client.handlers.command import make_command_handler
from slave_client.handlers.ports import Handler, HandlerMaker, HandlerOptions

ENTRY_POINT_GROUP: Final = "vgroup.handlers"
BUILT_IN: Final[Mapping[str, HandlerMaker]] = {"command": make_command_handler}


def make_handler(kind: str, values: Mapping[str, str], clock: Clock) -> Handler:
    """Make a handler from its name and options.

    Raises:
        ConfigurationError: No such handler, a wrong option, or a plug-in that does not load.
    """
    return _find_maker(kind)(HandlerOptions(kind, values, "handler"), clock)


def _find_maker(kind: str) -> HandlerMaker:
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    for point in entry_points(group=ENTRY_POINT_GROUP, name=kind):
        try:
            maker: HandlerMaker = point.load()
        except Exception as exc:  # a plug-in is foreign code: whatever it raises, the user learns which one it was
            message = f"the handler plug-in {kind!r} does not load: {exc}"
            raise ConfigurationError(message, remedy="Reinstall its package.", code=ErrorCode.PACKAGE_MISSING) from exc
        return maker
    raise ConfigurationError(
        f"there is no handler {kind!r}",
        remedy=f"Built in: {', '.join(BUILT_IN)}. Others: entry points in the group {ENTRY_POINT_GROUP}.",
        code=ErrorCode.PLUG_IN_OPTION_WRONG,
    )
