"""Everything about the slave that its user may choose, and where it comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.identifiers import ObjectId
from group_protocol.limits import READINGS_MAX
from group_protocol.suites import ALLOWED_OFFERS, DEFAULT_SUITES, Suite
from slave_client.buffered_record import BufferLimits, DropPolicy
from slave_client.config_tables import HandlerConfig as HandlerConfig  # noqa: PLC0414 - callers find all settings here
from slave_client.config_tables import SensorConfig as SensorConfig  # noqa: PLC0414 - as above
from slave_client.config_tables import name_tables, read_contacts, read_handlers, read_sensors
from system_ports.settings import Problem, Rule
from system_ports.settings_place import SettingsPlace


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
    mdns: bool = True
    """Where the master is at none of its known places: listen to the local network for where it is now, by mDNS."""
    heartbeat_s: float = 20.0
    """The stream is pinged this often. A master that is silent for half as long again is gone, via ``data`` too."""
    backoff_longest_s: float = 60.0
    """Longest wait between two attempts to reach the master."""
    status_s: float = 10.0
    """The status file is written at every change of state and otherwise this often."""
    metrics: str = ""
    """``HOST:PORT`` where Prometheus may ask ``GET /metrics``, such as ``127.0.0.1:9467``. Empty: nowhere.

    Whoever reaches it may read; it names nobody.
    """
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR: the least that ``run`` writes to the journal where a service unit started it."""

    @property
    def buffer_limits(self) -> BufferLimits:
        """The buffer's settings in bytes and seconds."""
        return BufferLimits(
            int(self.buffer_max_mb * 1_000_000),
            self.buffer_max_hours * 3_600,
            DropPolicy(self.buffer_when_full),
            self.buffer_keep_hours * 3_600,
        )


def _rules(config: SlaveConfig) -> Iterator[Rule]:
    yield Rule("via", config.via in ("stream", "data"), "stream or data")
    yield Rule("suites", config.suites in ALLOWED_OFFERS, 'one of ["H1", "E1"], ["H1"], ["E1"], ["R1"]')
    yield Rule("log_level", config.log_level in {"DEBUG", "INFO", "WARNING", "ERROR"}, "DEBUG, INFO, WARNING or ERROR")
    policies = tuple(DropPolicy)
    yield Rule("buffer_when_full", config.buffer_when_full in policies, " or ".join(policies))
    yield Rule("buffer_max_hours", 0 < config.buffer_max_hours <= 1_000_000, "above 0, at most 1000000")
    for name, least, most in (
        ("batch_readings", 1, READINGS_MAX),
        ("batch_s", 0, 3_600),
        ("inbox_max", 1, 10_000_000),
        ("commit_s", 0, 3_600),
        ("buffer_max_mb", 0.1, 1_000_000),
        ("buffer_keep_hours", 0, 1_000_000),
        ("heartbeat_s", 1, 3_600),
        ("backoff_longest_s", 0.5, 3_600),
        ("status_s", 0.1, 3_600),
    ):
        yield Rule(name, least <= getattr(config, name) <= most, f"from {least} to {most}")


_PLACE: Final = SettingsPlace(
    tier="slave",
    kind=SlaveConfig,
    defaults=SlaveConfig,
    folder_field="state_dir",
    base_variable="XDG_STATE_HOME",
    base_default="~/.local/state",
    rules=_rules,
    converters={"sensors": read_sensors, "handlers": read_handlers, "contacts": read_contacts},
    prepare=name_tables,
)


def default_state_dir(environment: Mapping[str, str]) -> Path:
    """``$VGROUP_SLAVE_DIR``, else ``vgroup/slave`` in the XDG state folder."""
    return _PLACE.default_folder(environment)


def default_config_file(state_dir: Path, environment: Mapping[str, str]) -> Path:
    """``$VGROUP_SLAVE_CONFIG``, else ``slave.toml`` in the state directory. It need not exist."""
    return _PLACE.default_file(state_dir, environment)


def load_config(
    *,
    state_dir: Path | None,
    config_file: Path | None,
    options: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
) -> SlaveConfig:
    """Put the settings together; see :meth:`SettingsPlace.load`.

    Raises:
        ConfigurationError: The file that was named is not there, or settings are unknown, of the wrong kind or out of
            range.
    """
    if config_file is not None and not config_file.exists():
        raise ConfigurationError(f"there is no {config_file}", remedy="Check --config.", code=ErrorCode.SETTING_WRONG)
    return _PLACE.load(state_dir, environment, options, config_file)


def find_problems(path: Path, environment: Mapping[str, str]) -> list[Problem]:
    """All that is wrong with this file and with the environment beside it."""
    return _PLACE.find_problems(path, environment)
