"""A ward of real processes that may be killed at any instant: a master, its chain, devices that replay recordings."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from master_api.admin_socket import ask_master
from master_api.config import ADMIN_SOCKET_NAME, STORE_NAME
from master_api.config_sources import DATA_DIR_VARIABLE
from master_api.key_file import write_plain_key
from master_api.private_files import ensure_private_folder
from tests.support.running_master import MASTER_KEY

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0
"""Whatever was killed has to be back at work after this."""


@dataclass(frozen=True)
class DeviceKind:
    """How a device measures and sends.

    Attributes:
        rate_hz: Readings a second.
        batch_readings: Readings in a record.
        via: stream or data.
        keep_hours: See ``buffer_keep_hours``.
        mdns: Whether it searches the local network for a master that is away, for seconds at a time.
    """

    rate_hz: int
    batch_readings: int
    via: str
    keep_hours: float
    mdns: bool = False


ANCHOR_MINUTES = 0.1
"""So that there are acts on the chain all the while."""

KINDS = (
    DeviceKind(rate_hz=200, batch_readings=1, via="stream", keep_hours=0),
    DeviceKind(rate_hz=2_000, batch_readings=20, via="stream", keep_hours=24),
    DeviceKind(rate_hz=500, batch_readings=8, via="data", keep_hours=0),
)


@dataclass(frozen=True)
class Surroundings:
    """Where a process lives: another network, another disk, another time.

    Attributes:
        prefix: Words before its command.
        environment: Variables beside its own.
    """

    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


HERE = Surroundings()


class Victim:
    """A process that is started and killed again and again.

    Attributes:
        surroundings: For its next start.
        starts: How often it was started.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        log: Path,
        surroundings: Surroundings = HERE,
    ) -> None:
        self.name = name
        self.log = log
        self.surroundings = surroundings
        self.starts = 0
        self._words = command
        own = {key: value for key, value in os.environ.items() if not key.startswith("VGROUP_")}
        self._own_environment = own | dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and do not wait for anything."""
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command_line(*self._words),
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def command_line(self, *words: str) -> list[str]:
        """A vgroup command in its surroundings."""
        return [*self.surroundings.prefix, sys.executable, "-m", "vgroup", *words]

    @property
    def environment(self) -> dict[str, str]:
        """Of its commands."""
        return self._own_environment | dict(self.surroundings.environment)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command of the same device or master, to its end."""
        return subprocess.run(
            self.command_line(*words),
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def kill(self) -> None:
        """SIGKILL."""
        process = self._running()
        assert process.poll() is None, f"{self.name} ended by itself:\n{self.tail()}"
        process.kill()
        process.wait()

    def stop(self) -> None:
        """SIGTERM, and the good end that follows from it."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, f"{self.name} did not end well:\n{self.tail()}"
        self._process = None

    def end(self) -> None:
        """Whatever it does, it is gone afterwards."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text("utf-8", "replace")[-4_000:]

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was not started"
        return self._process


class Device(Victim):
    """A slave with a state directory of its own; ``settings`` are those of its configuration."""

    def __init__(
        self,
        folder: Path,
        number: int,
        kind: DeviceKind,
        recording: Path,
        *,
        state_dir: Path | None = None,
        surroundings: Surroundings = HERE,
        **settings: Any,
    ) -> None:
        self.kind = kind
        self.state_dir = state_dir or folder / f"device-{number}"
        self.status_file = folder / f"device-{number}.json"
        environment = {
            "VGROUP_SLAVE_DIR": str(self.state_dir),
            "VGROUP_SLAVE_BACKOFF_LONGEST_S": "0.5",
            "VGROUP_SLAVE_BUFFER_KEEP_HOURS": str(kind.keep_hours),
            "VGROUP_SLAVE_BUFFER_MAX_MB": "20",
            "VGROUP_SLAVE_MDNS": "yes" if kind.mdns else "no",
        }
        environment |= {f"VGROUP_SLAVE_{name.upper()}": str(value) for name, value in settings.items()}
        sensor = f"replay:{recording},rate_hz={kind.rate_hz}"
        command = [
            *("slave", "run", "--sensor", sensor, "--stay", "--via", kind.via),
            *("--batch-readings", str(kind.batch_readings), "--batch-s", "0.05"),
            *("--status-file", str(self.status_file)),
        ]
        super().__init__(f"device {number}", command, environment, folder / f"device-{number}.log", surroundings)

    def join(self, pairing_string: str) -> bytes:
        """Pair and associate, in good order. Answers the oid."""
        done = self.run("slave", "join", pairing_string, "--patience-s", "120", "--json")
        assert done.returncode == 0, done.stderr
        return bytes.fromhex(json.loads(done.stdout)["object_id"])

    def status(self) -> dict[str, Any]:
        """What it wrote last; empty before the first time."""
        try:
            fields = json.loads(self.status_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return fields if isinstance(fields, dict) else {}

    def is_streaming(self) -> bool:
        """Whether this very process has a session."""
        return self.state() == "streaming"

    def state(self) -> str:
        """As this very process tells; empty before it does."""
        status = self.status()
        return str(status["state"]) if status.get("pid") == self._running().pid else ""


class Master(Victim):
    """The master on a fixed port, with the chain inside it or by URL."""

    def __init__(
        self,
        folder: Path,
        *,
        data_dir: Path | None = None,
        surroundings: Surroundings = HERE,
        **settings: Any,
    ) -> None:
        self.folder = data_dir or folder / "master"
        self.port = free_port()
        ensure_private_folder(self.folder)
        write_plain_key(self.folder, MASTER_KEY)
        environment = {DATA_DIR_VARIABLE: str(self.folder), "VGROUP_MASTER_LOG_LEVEL": "WARNING"}
        environment |= {f"VGROUP_MASTER_{name.upper()}": str(value) for name, value in settings.items()}
        # Everything comes from one address here, and comes back after every kill.
        environment |= {"VGROUP_MASTER_HANDSHAKES_PER_ADDRESS_PER_S": "1000"}
        command = ["master", "run", "--port", str(self.port)]
        super().__init__("master", command, environment, folder / "master.log", surroundings)

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.folder / STORE_NAME

    def ask(self, operation: str, **arguments: object) -> dict[str, Any]:
        """What its operator can ask; waits until it answers."""
        began_s = time.monotonic()
        while True:
            answer = asyncio.run(ask_master(self.folder / ADMIN_SOCKET_NAME, operation, arguments))
            if answer is not None:
                return answer
            assert time.monotonic() - began_s < PATIENCE_S, f"the master does not answer:\n{self.tail()}"
            time.sleep(0.05)

    def open_group(self) -> None:
        """Start it and form its group."""
        self.start()
        self.ask("group.create", name="ward 3")

    def invite(self, name: str) -> str:
        """A pairing string."""
        return str(self.ask("device.invite", name=name)["pairing_string"])


class Gateway(Victim):
    """``vgroup gateway run`` with the chain inside it, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "gateway"
        self.port = free_port()
        environment = {"VGROUP_GATEWAY_DIR": str(self.folder), "VGROUP_GATEWAY_LOG_LEVEL": "WARNING"}
        super().__init__("gateway", ["gateway", "run", "--port", str(self.port)], environment, folder / "gateway.log")

    @property
    def url(self) -> str:
        """For the master's setting of that name."""
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Let the master's key in, start, and wait until it listens: a master's first start needs it."""
        done = self.run("gateway", "authorize", "0x" + MASTER_KEY.address.hex())
        assert done.returncode == 0, done.stderr
        self.start()
        wait_until(self._listens, "the gateway does not listen", self.tail)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Ward:
    """One master, its chain, and a device of each kind, all running.

    Args:
        folder: For everything.
        has_gateway: Whether the chain lives in a process of its own, else in the master's. There the devices search the
            network, too, whenever their master is away.
    """

    def __init__(self, folder: Path, *, has_gateway: bool) -> None:
        self.gateway = Gateway(folder) if has_gateway else None
        gateway_url = self.gateway.url if self.gateway else ""
        self.master = Master(folder, anchor_minutes=ANCHOR_MINUTES, gateway=gateway_url)
        recording = write_recording(folder)
        kinds = [replace(kind, mdns=has_gateway) for kind in KINDS]
        self.devices = [Device(folder, number, kind, recording) for number, kind in enumerate(kinds, start=1)]
        self.oids: dict[str, bytes] = {}

    def open(self) -> None:
        """Form the group, join the devices side by side, start them."""
        if self.gateway:
            self.gateway.open()
        self.master.open_group()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._join, self.devices))

    def _join(self, device: Device) -> None:
        self.oids[device.name] = device.join(self.master.invite(device.name))
        device.start()

    @property
    def victims(self) -> list[Victim]:
        """Everything that may be killed."""
        return [*([self.gateway] if self.gateway else []), self.master, *self.devices]

    def wait_until_all_stream(self) -> None:
        """Everything works: each device has a session. Fails when it does not come to that."""
        for device in self.devices:
            wait_until(device.is_streaming, f"{device.name} does not stream", device.tail)

    def close(self) -> None:
        """End whatever still runs."""
        for victim in self.victims:
            victim.end()


def write_recording(folder: Path) -> Path:
    """Samples 0, 1, 2, …: more than any test takes."""
    recording = folder / "recording.csv"
    recording.write_text(_samples())
    return recording


@cache
def _samples() -> str:
    return "".join(f"{number}\n" for number in range(500_000))


def wait_until(condition: Callable[[], bool], complaint: str, tail: Callable[[], str]) -> None:
    """Poll until something holds, at most as long as our patience lasts."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < PATIENCE_S, f"{complaint}:\n{tail()}"
        time.sleep(0.02)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
