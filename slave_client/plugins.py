"""The sensors and handlers that the settings name, made and looked at before anything begins."""

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.ports import Clock
from slave_client.config import SlaveConfig
from slave_client.errors import SensorError
from slave_client.handlers.catalogue import make_handler
from slave_client.handlers.ports import Handler
from slave_client.sensors.catalogue import make_sensor
from slave_client.sensors.ports import Sensor


def make_handlers(config: SlaveConfig, clock: Clock) -> list[Handler]:
    """The handlers. Raises ConfigurationError: one is wrong, or messages cannot reach it."""
    if config.handlers and config.via != "stream":
        raise ConfigurationError(
            "messages from other slaves come over the stream alone",
            remedy="Use via = stream, or take the handlers out.",
            code=ErrorCode.SETTING_WRONG,
        )
    return [make_handler(handler.kind, handler.options, clock) for handler in config.handlers]


async def make_sensors(config: SlaveConfig, clock: Clock, *, may_be_none: bool) -> list[Sensor]:
    """The sensors; none is enough for a device that stays to receive messages, or that has handlers for them.

    Raises:
        ConfigurationError: One is wrong, or none is named.
        SensorError: One's source is not there.
    """
    if not config.sensors and not config.handlers and not may_be_none:
        raise ConfigurationError(
            "no sensor is configured",
            remedy="Name one, for example --sensor psutil; see vgroup slave sensors.",
            code=ErrorCode.SENSOR_NOT_NAMED,
        )
    sensors = [make_sensor(sensor.kind, sensor.options, clock) for sensor in config.sensors]
    for sensor in sensors:
        await _check(sensor)
    return sensors


async def _check(sensor: Sensor) -> None:
    """A plug-in is foreign code: whatever it raises, the user learns which one it was. Raises SensorError."""
    try:
        await sensor.check()
    except SensorError:
        raise
    except Exception as exc:
        remedy = "Look whether its source is there; a plug-in's author would like to know."
        raise SensorError(f"{sensor.label} failed: {exc!r}", remedy=remedy) from exc
