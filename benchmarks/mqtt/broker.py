"""Mosquitto with mutual TLS on a loopback port, as long as the context lasts."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.mqtt.certificates import make_certificates

HOST: Final = "127.0.0.1"
_START_S: Final = 10.0
_INSTALL: Final = "the peer is not installed; run: apt-get install mosquitto libmosquitto1 gcc"


class PeerMissingError(RuntimeError):
    """Mosquitto is not installed."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker; ``folder`` holds ``ca.pem`` and each client's certificate and key."""

    port: int
    folder: Path
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU time so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def find_program(name: str) -> str:
    """The path of a Debian program, also where sbin is not on the path. Raises PeerMissingError."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise PeerMissingError(f"{name}: {_INSTALL}")
    return path


def describe_broker() -> str:
    """Its name and version. Raises PeerMissingError."""
    shown = subprocess.run([find_program("mosquitto"), "-h"], capture_output=True, text=True, check=False)  # noqa: S603 - its own path
    return shown.stdout.splitlines()[0]


@asynccontextmanager
async def broker(folder: Path, clients: list[str], window: int, *, is_persistent: bool) -> AsyncIterator[Broker]:
    """Start it in an empty folder, with certificates for these clients.

    Args:
        folder: An empty one.
        clients: Their names.
        window: QoS 1 messages on their way to one client that are not acknowledged.
        is_persistent: Messages and sessions are written to the disk: every 1,800 s (``autosave_interval``, Mosquitto's
            default), and when it stops. Nothing is synced when a message is acknowledged.
    """
    program = find_program("mosquitto")
    make_certificates(folder, clients)
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    configuration = folder / "mosquitto.conf"
    configuration.write_text(_configure(folder, port, window, is_persistent=is_persistent), "utf-8")
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(configuration), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _wait_for(port)
        yield Broker(port, folder, psutil.Process(process.pid))
    finally:
        process.terminate()
        await process.wait()


def _configure(folder: Path, port: int, window: int, *, is_persistent: bool) -> str:
    lines = [
        f"listener {port} {HOST}",
        f"cafile {folder}/ca.pem",
        f"certfile {folder}/server.pem",
        f"keyfile {folder}/server.key",
        "require_certificate true",
        "use_identity_as_username true",
        "allow_anonymous false",
        f"persistence {str(is_persistent).lower()}",
        f"persistence_location {folder}/",
        f"max_inflight_messages {window}",
        "max_queued_messages 0",
        "set_tcp_nodelay true",
        "log_dest none",
        "user root" if os.geteuid() == 0 else "",
    ]
    return "\n".join(lines) + "\n"


async def _wait_for(port: int) -> None:
    async with asyncio.timeout(_START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
