"""What the daemon tells about itself: one JSON file, replaced in one step, for ``vgroup slave status`` and others."""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from group_protocol.errors import VirtualGroupError
from group_protocol.extensions import TurnedAwayError
from group_protocol.frames import Ack
from group_protocol.identifiers import display_object_id
from group_protocol.ports import Clock
from slave_client.buffer import Buffer
from slave_client.device_state import DeviceState
from slave_client.finding.places import Place, Way, join_authority
from slave_client.standings import STANDING_REMEDIES, stand
from slave_client.states import Event, State, next_state
from system_ports.private_files import replace_private_file
from system_ports.software import software_version

STATUS_FILE = "status.json"
STATUS_VERSION = 1
_ERROR_MAX_CHARACTERS = 300
_LEVELS = {State.BACKING_OFF: logging.WARNING, State.REVOKED: logging.ERROR}
"""How loud the log is about a state; about others at INFO."""

_log = logging.getLogger("vgroup.slave")


@dataclass(slots=True)
class SensorStatus:
    """One sensor. ``state`` is running, failing or ended."""

    label: str
    state: str = "running"
    readings: int = 0
    error: str = ""


@dataclass(slots=True)
class StatusBoard:
    """Everything that the status shows, changed in place by the daemon's parts.

    Args:
        clock: For times of day, which are for people only.
        via: stream or data.
        report: Called with one line at each change of state, for people.
    """

    clock: Clock
    via: str
    report: Callable[[str], None]
    state: State = State.STOPPED
    since_unix_s: float = 0.0
    sessions: int = 0
    last_ack: Ack | None = None
    last_ack_unix_s: float | None = None
    last_error: str = ""
    last_error_remedy: str = ""
    last_error_code: str = ""
    last_error_unix_s: float | None = None
    records_without_evidence: int = 0
    sensors: list[SensorStatus] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self, event: Event) -> None:
        """Go to the next state. Raises LocalProtocolError for a transition that the table does not have."""
        self.state = next_state(self.state, event)
        self.since_unix_s = self.clock.now_unix_s()
        self.changed.set()
        why = f": {self.last_error}" if self.state is State.BACKING_OFF else ""
        _log.log(_LEVELS.get(self.state, logging.INFO), f"{self.state}{why}", extra={"fields": {"state": self.state}})
        self.report(f"{self.state}{why}")

    def note_ack(self, ack: Ack) -> None:
        """An ACK came."""
        self.last_ack = ack
        self.last_ack_unix_s = self.clock.now_unix_s()

    def note_error(self, error: VirtualGroupError) -> None:
        """Something went wrong; what a peer may have written in it is cut short."""
        is_news = str(error)[:_ERROR_MAX_CHARACTERS] != self.last_error
        self.last_error = str(error)[:_ERROR_MAX_CHARACTERS]
        self.last_error_remedy = error.remedy[:_ERROR_MAX_CHARACTERS]
        self.last_error_code = error.code
        if is_news:
            standing = {"standing": error.standing.name.lower()} if isinstance(error, TurnedAwayError) else {}
            fields = standing | {
                "error": self.last_error,
                "code": self.last_error_code,
                "remedy": self.last_error_remedy,
            }
            _log.warning("something went wrong", extra={"fields": fields})
        self.last_error_unix_s = self.clock.now_unix_s()
        self.changed.set()

    def to_fields(
        self, device: DeviceState, buffer: Buffer, *, readings: int, acknowledged: int | None
    ) -> dict[str, object]:
        """The status as JSON fields; the format is in docs/slave.md."""
        lost = buffer.lost_by_master
        return {
            "version": STATUS_VERSION,
            "pid": os.getpid(),
            "written_unix_s": round(self.clock.now_unix_s(), 3),
            "state": self.state.value,
            "since_unix_s": round(self.since_unix_s, 3),
            "via": self.via,
            **describe_device(device),
            "sessions": self.sessions,
            "readings": readings,
            "readings_acknowledged": acknowledged,
            "buffer": {
                **asdict(buffer.fill()),
                "damage": buffer.damage,
                "lost_by_master": asdict(lost) if lost else None,
            },
            "last_ack": self._ack_fields(),
            "records_without_evidence": self.records_without_evidence,
            "sensors": [asdict(sensor) for sensor in self.sensors],
            "last_error": self._error_fields(),
        }

    def _ack_fields(self) -> dict[str, object] | None:
        if self.last_ack is None:
            return None
        return {
            "last_seq": self.last_ack.last_seq,
            "evidence_seq": self.last_ack.evidence_seq,
            "epoch": self.last_ack.epoch,
            "at_unix_s": self.last_ack_unix_s,
        }

    def _error_fields(self) -> dict[str, object] | None:
        if not self.last_error:
            return None
        return {
            "message": self.last_error,
            "code": self.last_error_code,
            "remedy": self.last_error_remedy,
            "at_unix_s": self.last_error_unix_s,
        }


def describe_device(device: DeviceState) -> dict[str, object]:
    """Who the device is, as JSON fields: nothing secret."""
    place = device.enrolment
    return {
        "join_step": device.step.value,
        "standing": stand(device).value,
        "standing_remedy": STANDING_REMEDIES[stand(device)],
        "software": software_version(),
        "master_software": device.master_software or None,
        "master": "0x" + device.master.hex(),
        "endpoint": join_authority(device.host, device.port),
        "last_endpoint": str(device.last_place) if device.last_place else None,
        "group": place.gid.hex() if place else None,
        "object_id": place.oid.hex() if place else None,
        "display_id": display_object_id(place.oid) if place else None,
        "address": "0x" + place.address.hex() if place else None,
        "contract": "0x" + place.contract.hex() if place else None,
        "chain_id": place.chain_id if place else None,
    }


def describe_reached(reached: tuple[Place, Way] | None) -> dict[str, str] | None:
    """Where the newest session was opened, and by which way the place was known, as JSON fields."""
    return {"endpoint": str(reached[0]), "way": reached[1].value} if reached else None


async def write_status(path: Path, fields: dict[str, object]) -> None:
    """Replace the file off the loop, without waiting for the medium. A disk that refuses does not stop the daemon."""
    content = json.dumps(fields, indent=1).encode() + b"\n"
    with contextlib.suppress(OSError):
        await asyncio.to_thread(replace_private_file, path, content, is_durable=False)


def read_status(path: Path) -> dict[str, object] | None:
    """What a daemon wrote last; None if there is nothing readable."""
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return fields if isinstance(fields, dict) else None
