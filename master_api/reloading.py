"""Which settings a running master takes anew at SIGHUP, and how each comes into force."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from master_api.config import MasterConfig
from master_api.context import MasterContext
from master_api.enrolment import Enrolment
from system_ports.edge_server import ConnectionBounds
from system_ports.logs import configure_logs
from system_ports.reloading import Reloaded, take_reloadable

PROGRAM: Final = "vgroup-master"
"""The journal's name for this program."""
RELOADABLE: Final = frozenset(
    {
        "log_format",
        "log_level",
        "connections_max",
        "connections_per_address_max",
        "cookie_threshold",
        "half_open_max",
        "half_open_per_address_max",
        "handshakes_burst",
        "handshakes_per_address_burst",
        "handshakes_per_address_per_s",
        "handshakes_per_s",
        "pairing_lifetime_s",
        "sessions_max",
    }
)
"""All others are fixed in sessions, sockets or files that are open, and wait for a restart."""


@dataclass(frozen=True, slots=True)
class Reloader:
    """Brings new settings into force.

    Attributes:
        context: Holds the settings in force, and the tables with bounds.
        enrolment: Holds the rates.
        bounds: Of the edge's connections.
        configure: Sets the logs up.
    """

    context: MasterContext
    enrolment: Enrolment
    bounds: ConnectionBounds
    configure: Callable[[str, str, str], None] = configure_logs

    def reload(self, wanted: MasterConfig) -> Reloaded[MasterConfig]:
        """Take what can be taken."""
        reloaded = take_reloadable(self.context.config, wanted, RELOADABLE)
        config = self.context.config = reloaded.config
        if {"log_format", "log_level"} & set(reloaded.changed):
            self.configure(config.log_format, config.log_level, PROGRAM)
        if any(name.startswith("handshakes_") for name in reloaded.changed):
            self.enrolment.change_rates(config.handshake_rate_per_address, config.handshake_rate)
        self.context.half_open.change_bounds(config.half_open_max, config.half_open_per_address_max)
        self.context.live.change_bound(config.sessions_max)
        self.bounds.change(config.connections_max, config.connections_per_address_max)
        return reloaded
