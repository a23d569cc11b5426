"""Finding a sensor by its name."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.ports import Clock
from slave_client.sensors.ports import Sensor, SensorMaker, SensorOptions

ENTRY_POINT_GROUP: Final = "vgroup.sensors"
BUILT_IN: Final[Mapping[str, tuple[str, str]]] = {
    "replay": ("slave_client.sensors.replay", "make_replay_sensor"),
    "psutil": ("slave_client.sensors.host", "make_host_sensor"),
    "w1": ("slave_client.sensors.one_wire", "make_one_wire_sensor"),
    "iio": ("slave_client.sensors.industrial_io", "make_iio_sensor"),
}
"""Name to module and function; imported when used, so that a device loads only what it measures with."""

_BARE_OPTION: Final = {"replay": "path", "psutil": "what", "w1": "id", "iio": "channel"}


def make_sensor(kind: str, values: Mapping[str, str], clock: Clock) -> Sensor:
    """Make a sensor from its name and options, without touching hardware.

    Raises:
        ConfigurationError: No such sensor, a wrong option, or a plug-in that does not load.
    """
    return _find_maker(kind)(SensorOptions(kind, values), clock)


def parse_sensor_text(text: str) -> tuple[str, dict[str, str]]:
    """Split ``kind:option=value,option=value``.

    For the built-in sensors the first value may stand alone: ``replay:pulse.csv,rate_hz=100``.

    Raises:
        ConfigurationError: An option has no value or stands twice.
    """
    kind, _, tail = text.partition(":")
    values: dict[str, str] = {}
    for position, part in enumerate(part for part in tail.split(",") if part):
        name, equals, value = part.partition("=")
        if not equals and position == 0 and kind in _BARE_OPTION:
            name, value = _BARE_OPTION[kind], part
        if not value.strip():
            raise ConfigurationError(
                f"--sensor {text}: {part!r} is no option=value",
                remedy="Write kind:option=value,…",
                code=ErrorCode.PLUG_IN_OPTION_WRONG,
            )
        name = name.strip()
        if name in values:
            raise ConfigurationError(
                f"--sensor {text}: {name} stands twice",
                remedy="Give each option once.",
                code=ErrorCode.PLUG_IN_OPTION_WRONG,
            )
        values[name] = value.strip()
    return kind.strip(), values


def list_sensors() -> dict[str, str]:
    """Every sensor's name, and the first paragraph of what its maker says about its options."""
    names = [*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP) if point.name not in BUILT_IN)]
    return {name: (_find_maker(name).__doc__ or "").split("\n\n")[0] for name in names}


def _find_maker(kind: str) -> SensorMaker:
    if kind in BUILT_IN:
        module_name, function_name = BUILT_IN[kind]
        maker: SensorMaker = getattr(import_module(module_name), function_name)
        return maker
    for point in entry_points(group=ENTRY_POINT_GROUP, name=kind):
        return _load_plug_in(point.load, kind)
    raise ConfigurationError(
        f"there is no sensor {kind!r}",
        remedy=f"Built in: {', '.join(BUILT_IN)}. Others: entry points in the group {ENTRY_POINT_GROUP}.",
        code=ErrorCode.PLUG_IN_OPTION_WRONG,
    )


def _load_plug_in(load: Callable[[], SensorMaker], kind: str) -> SensorMaker:
    try:
        return load()
    except Exception as exc:  # a plug-in is foreign code: whatever it raises, the user learns which one it was
        message = f"the sensor plug-in {kind!r} does not load: {exc}"
        raise ConfigurationError(message, remedy="Reinstall its package.", code=ErrorCode.PACKAGE_MISSING) from exc
