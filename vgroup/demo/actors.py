"""The demo's cast: one master and its slaves, as far as they are known from outside."""

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from master_api.admin_socket import ask_master
from measure.wire.capture import Exchange
from measure.wire.join_cost import JoinCost
from measure.wire.proxy import RecordingProxy
from vgroup.demo.errors import DemoFailed
from vgroup.demo.processes import Member
from vgroup.demo.recordings import Recording
from vgroup.demo.screen import SlaveRow

DISPLAY_OID_DIGITS: Final = 4
"""The last two bytes of an oid, as the paper shows them (docs/protocol.md §1)."""


@dataclass(slots=True)
class Master:
    """The master's process.

    Attributes:
        folder: Its data folder.
        port: Where it listens on loopback.
        address: Its key's address, 0x and hex.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    address: str = ""
    admin_socket: Path = Path()
    member: Member | None = None

    @property
    def url(self) -> str:
        """Its edge."""
        return f"http://{self.host}:{self.port}"

    async def ask(self, operation: str, **arguments: object) -> dict[str, Any]:
        """Ask the running master over its admin socket, as ``vgroup`` does. Raises DemoFailed."""
        answer = await ask_master(self.admin_socket, operation, arguments)
        if answer is None:
            raise DemoFailed("the master does not answer on its admin socket")
        return answer

    async def fetch_devices(self) -> dict[str, dict[str, Any]]:
        """Its devices by oid in hex, as ``vgroup device list --json`` shows them."""
        return {device["oid"]: device for device in (await self.ask("device.list"))["devices"]}


@dataclass(slots=True)
class Slave:
    """One slave: a state directory, and a process once it runs.

    Attributes:
        proxy: Stands between it and the master, and listens.
        pairing_text: What it was invited with.
        oid: In hex, once it has joined.
        join: What joining cost.
        tickets: Its exchanges of M3 for M4 off the wire: of the session in which it joined, and of the one it sends in.
        messages: The numbers of its records that are no samples.
    """

    name: str
    recording: Recording
    via: str
    folder: Path
    proxy: RecordingProxy
    pairing_text: str = ""
    oid: str = ""
    member: Member | None = None
    join: JoinCost | None = None
    tickets: list[Exchange] = field(default_factory=list)
    messages: set[int] = field(default_factory=set)
    is_revoked: bool = False
    _status: dict[str, Any] = field(default_factory=dict)

    @property
    def status_file(self) -> Path:
        """Where its daemon writes its status."""
        return self.folder / "status.json"

    def read_status(self) -> dict[str, Any]:
        """What its daemon wrote last; what it wrote before if it is just being replaced, and nothing at first."""
        with contextlib.suppress(OSError, ValueError):
            self._status = json.loads(self.status_file.read_bytes())
        return self._status

    @property
    def state(self) -> str:
        """The daemon's state by name."""
        return str(self._status.get("state", "joined" if self.oid else "invited"))

    @property
    def records_sent(self) -> int:
        """Records that it has made and numbered."""
        return int(self._status["buffer"]["next_seq"]) - 1 if self._status else 0

    @property
    def records_acknowledged(self) -> int:
        """The highest record number that it has seen acknowledged."""
        last_ack = self._status.get("last_ack")
        return int(last_ack["last_seq"]) if last_ack else 0

    @property
    def readings(self) -> int:
        """Samples that its sensor has delivered."""
        return int(self._status.get("readings", 0))

    def row(self) -> SlaveRow:
        """Its line in the live table, from its newest status."""
        self.read_status()
        last_ack = self._status.get("last_ack")
        return SlaveRow(
            name=self.name,
            state=self.state,
            oid=self.oid[-DISPLAY_OID_DIGITS:],
            recording=self.recording.name,
            via=self.via,
            records_sent=self.records_sent,
            records_acknowledged=self.records_acknowledged,
            readings=self.readings,
            ack_age_s=max(0.0, time.time() - last_ack["at_unix_s"]) if last_ack else None,
        )
