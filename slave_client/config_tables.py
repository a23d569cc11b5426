"""The parts of ``slave.toml`` that are tables: sensors, handlers, contacts."""

from collections.abc import Mapping
from dataclasses import dataclass

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError
from group_protocol.identifiers import ObjectId, parse_object_id
from system_ports.settings import Source


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """One sensor: its kind and its options as text."""

    kind: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HandlerConfig:
    """What is done with messages from other slaves: a handler's kind and its options as text."""

    kind: str
    options: Mapping[str, str]


def name_tables(file: Source) -> Source:
    """The file with its lists of tables under their settings' names: in TOML each is named for one of them."""
    settings, lines = dict(file.settings), dict(file.lines)
    for table, setting in (("sensor", "sensors"), ("handler", "handlers")):
        if table in settings and setting not in settings:
            settings[setting] = settings.pop(table)
            lines[setting] = lines.pop(table, 1)
    return Source(file.name, settings, lines)


def read_sensors(value: object) -> tuple[SensorConfig, ...]:
    """``[[sensor]]`` tables. Raises ConfigurationError."""
    if isinstance(value, tuple):
        return value
    return tuple(SensorConfig(*item) for item in _read_tables(value, "sensor", "psutil"))


def read_handlers(value: object) -> tuple[HandlerConfig, ...]:
    """``[[handler]]`` tables. Raises ConfigurationError."""
    if isinstance(value, tuple):
        return value
    return tuple(HandlerConfig(*item) for item in _read_tables(value, "handler", "command"))


def read_contacts(value: object) -> tuple[tuple[str, ObjectId], ...]:
    """The ``[contacts]`` table. Raises ConfigurationError."""
    if isinstance(value, tuple):
        return value
    try:
        if isinstance(value, dict):
            return tuple((name, parse_object_id(bytes.fromhex(oid))) for name, oid in value.items())
    except (TypeError, ValueError, DecodingError):
        pass
    raise ConfigurationError(
        "[contacts] holds name = oid (32 hex digits)",
        remedy='Write: [contacts], and below it bed_2 = "…" for each.',
        code=ErrorCode.SETTING_WRONG,
    )


def _read_tables(value: object, table: str, example: str) -> list[tuple[str, Mapping[str, str]]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) and "kind" in item for item in value):
        raise ConfigurationError(
            f"each {table} is a [[{table}]] table with a kind",
            remedy=f'Write: [[{table}]], and below it kind = "{example}".',
            code=ErrorCode.SETTING_WRONG,
        )
    return [
        (str(item["kind"]), {name: _as_text(option) for name, option in item.items() if name != "kind"})
        for item in value
    ]


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
