"""Everything about the slave that its user may choose, and where it comes from."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final, get_type_hints

from group_protocol.errors import ConfigurationError, DecodingError
from group_protocol.identifiers import ObjectId, parse_object_id
from group_protocol.limits import READINGS_MAX
from group_protocol.suites import ALLOWED_OFFERS, DEFAULT_SUITES, Suite
from slave_client.buffered_record import BufferLimits, DropPolicy

ENVIRONMENT_PREFIX: Final = "VGROUP_SLAVE_"
"""``VGROUP_SLAVE_VIA=data`` sets ``via``, and so on for every simple setting."""
STATE_DIR_VARIABLE: Final = "VGROUP_SLAVE_DIR"
CONFIG_FILE_NAME: Final = "slave.toml"


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


@dataclass(frozen=True, slots=True)
class SlaveConfig:
    """The slave's settings."""

    state_dir: Path
    """Directory of keys, state and buffer, mode 0700."""
    sensors: tuple[SensorConfig, ...] = ()
    """What to measure; in the file as ``[[sensor]]`` tables with ``kind`` and the sensor's options."""
    handlers: tuple[HandlerConfig, ...] = ()
    """What to do with messages from other slaves; in the file as ``[[handler]]`` tables, like the sensors."""
    contacts: tuple[tuple[str, ObjectId], ...] = ()
    """Names of other members for ``vgroup slave send --to``; in the file as a ``[contacts]`` table, name = oid."""
    via: str = "stream"
    """``stream`` (one WebSocket) or ``data`` (a POST per frame: such a device gets no messages from other slaves)."""
    suites: tuple[Suite, ...] = field(default=DEFAULT_SUITES)
    """Key-exchange suites to offer (docs/protocol.md §3.1): H1 E1, H1, E1 or R1."""
    batch_readings: int = 128
    """A record holds at most so many readings."""
    batch_s: float = 1.0
    """A record is made at most so many seconds after its first reading."""
    commit_s: float = 0.0
    """A record may wait this long for its disk write, so that several share one: kind to SD cards, less to readings."""
    buffer_max_mb: float = 64.0
    """Most megabytes (10^6 bytes) of records on the disk."""
    buffer_max_hours: float = 168.0
    """Most hours (of running time) that a record waits."""
    buffer_when_full: str = DropPolicy.OLDEST.value
    """``drop-oldest`` or ``refuse-newest``: which records are lost, and counted, beyond one of the two bounds."""
    buffer_keep_hours: float = 24.0
    """Acknowledged records stay so many hours where there is room: a master put back from a backup gets them again."""
    inbox_max: int = 10_000
    """Most messages from other slaves that are kept. With a handler, more wait at the master until it has taken them;
    without one the oldest are deleted and counted."""
    backoff_longest_s: float = 60.0
    """Longest wait between two attempts to reach the master."""
    status_s: float = 10.0
    """The status file is written at every change of state and otherwise this often."""

    @property
    def buffer_limits(self) -> BufferLimits:
        """The buffer's settings in bytes and seconds."""
        return BufferLimits(
            int(self.buffer_max_mb * 1_000_000),
            self.buffer_max_hours * 3_600,
            DropPolicy(self.buffer_when_full),
            self.buffer_keep_hours * 3_600,
        )


def default_state_dir(environment: Mapping[str, str]) -> Path:
    """``$VGROUP_SLAVE_DIR``, else ``vgroup/slave`` in the XDG state folder."""
    if named := environment.get(STATE_DIR_VARIABLE):
        return Path(named).expanduser()
    return Path(environment.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "vgroup" / "slave"


def load_config(
    *,
    state_dir: Path | None,
    config_file: Path | None,
    options: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
) -> SlaveConfig:
    """Put the settings together: defaults, then the file, the environment, the options; later ones win.

    Args:
        state_dir: From the command line; None for the default.
        config_file: From the command line; None for ``slave.toml`` in the state directory, if it is there.
        options: Settings from the command line; None means not given.
        environment: None for the process's own.

    Raises:
        ConfigurationError: The file cannot be read, or a setting is unknown, of the wrong kind or out of range.
    """
    environment = os.environ if environment is None else environment
    config = SlaveConfig((state_dir or default_state_dir(environment)).absolute())
    path = config_file or config.state_dir / CONFIG_FILE_NAME
    config = _merge(config, _read_file(path, must_exist=config_file is not None), str(path))
    config = _merge(config, _read_environment(environment), "the environment")
    config = _merge(config, {name: value for name, value in options.items() if value is not None}, "the options")
    _refuse_out_of_range(config)
    return config


def _read_file(path: Path, *, must_exist: bool) -> dict[str, object]:
    try:
        settings: dict[str, object] = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        if must_exist:
            raise ConfigurationError(f"there is no {path}", remedy="Check --config.") from exc
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError(
            f"{path} cannot be read: {exc}", remedy="Mend the file, or leave --config out."
        ) from exc
    if "sensor" in settings:
        settings["sensors"] = tuple(SensorConfig(*it) for it in _read_tables(settings.pop("sensor"), "sensor", path))
    if "handler" in settings:
        settings["handlers"] = tuple(
            HandlerConfig(*it) for it in _read_tables(settings.pop("handler"), "handler", path)
        )
    if "contacts" in settings:
        settings["contacts"] = _read_contacts(settings["contacts"], path)
    return settings


def _read_tables(tables: object, what: str, path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) and "kind" in table for table in tables):
        raise ConfigurationError(f"{path}: each {what} is a [[{what}]] table with a kind", remedy="Mend the file.")
    for table in tables:
        yield str(table["kind"]), {name: _as_text(value) for name, value in table.items() if name != "kind"}


def _read_contacts(table: object, path: Path) -> tuple[tuple[str, ObjectId], ...]:
    try:
        if isinstance(table, dict):
            return tuple((name, parse_object_id(bytes.fromhex(oid))) for name, oid in table.items())
    except (TypeError, ValueError, DecodingError):
        pass
    raise ConfigurationError(f"{path}: [contacts] holds name = oid (32 hex digits)", remedy="Mend the file.")


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _read_environment(environment: Mapping[str, str]) -> dict[str, object]:
    names = {setting.name for setting in fields(SlaveConfig)} - {"state_dir", "sensors", "handlers", "contacts"}
    variables = {name: ENVIRONMENT_PREFIX + name.upper() for name in names}
    return {name: environment[variable] for name, variable in variables.items() if variable in environment}


def _merge(config: SlaveConfig, settings: Mapping[str, object], source: str) -> SlaveConfig:
    kinds = get_type_hints(SlaveConfig)
    for name, value in settings.items():
        if name not in kinds or name == "state_dir":
            raise ConfigurationError(f"{source}: there is no setting {name!r}", remedy="Check its spelling.")
        try:
            config = _with_setting(config, name, value)
        except (TypeError, ValueError) as exc:
            raise ConfigurationError(f"{source}: {name} cannot be {value!r}", remedy="Check its kind.") from exc
    return config


def _with_setting(config: SlaveConfig, name: str, value: object) -> SlaveConfig:
    match name:
        case "sensors" | "handlers" | "contacts" if isinstance(value, tuple):
            tables: dict[str, tuple[object, ...]] = {name: value}
            return replace(config, **tables)  # type: ignore[arg-type] # one of the three, read above
        case "via" if isinstance(value, str):
            return replace(config, via=value)
        case "buffer_when_full" if isinstance(value, str):
            return replace(config, buffer_when_full=value)
        case "suites" if isinstance(value, str | list | tuple):
            names = value.replace(",", " ").split() if isinstance(value, str) else value
            return replace(config, suites=tuple(Suite(str(item)) for item in names))
        case "batch_readings" | "inbox_max" if isinstance(value, int | str) and not isinstance(value, bool):
            whole: dict[str, int] = {name: int(value)}
            return replace(config, **whole)  # type: ignore[arg-type] # one of the two
        case (
            "sensors" | "handlers" | "contacts" | "via" | "suites" | "buffer_when_full" | "batch_readings" | "inbox_max"
        ):
            raise TypeError(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(name)
    number: dict[str, float] = {name: float(value)}
    return replace(config, **number)  # type: ignore[arg-type] # what is left are the settings that are numbers


def _refuse_out_of_range(config: SlaveConfig) -> None:
    checks = {
        "via": config.via in ("stream", "data"),
        "suites": config.suites in ALLOWED_OFFERS,
        "batch_readings": 1 <= config.batch_readings <= READINGS_MAX,
        "batch_s": 0 <= config.batch_s <= 3_600,
        "commit_s": 0 <= config.commit_s <= 3_600,
        "buffer_max_mb": 0.1 <= config.buffer_max_mb <= 1_000_000,
        "buffer_max_hours": 0 < config.buffer_max_hours <= 1_000_000,
        "buffer_when_full": config.buffer_when_full in tuple(DropPolicy),
        "buffer_keep_hours": 0 <= config.buffer_keep_hours <= 1_000_000,
        "inbox_max": 1 <= config.inbox_max <= 10_000_000,
        "backoff_longest_s": 0.5 <= config.backoff_longest_s <= 3_600,
        "status_s": 0.1 <= config.status_s <= 3_600,
    }
    for name, is_good in checks.items():
        if not is_good:
            raise ConfigurationError(f"{name} cannot be {getattr(config, name)!r}", remedy="See docs/slave.md.")
