"""Captures with tshark, Wireshark's own command, where it is installed and may listen."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.traffic.packets import Capture, Packet, connections_of

_FIELDS: Final = (
    "frame.time_epoch", "tcp.stream", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "_ws.col.Protocol", "frame.len",
    "tcp.seq", "tcp.payload", "_ws.col.Info", "ipv6.src", "ipv6.dst",
)  # fmt: skip
_SEPARATOR: Final = "\x1f"
_START_TIMEOUT_S: Final = 15.0
_SETTLE_S: Final = 0.5
"""The capture's buffer is flushed this long after the last packet."""
_PERMISSION: Final = (
    "Listening needs rights: run as root, or once: sudo dpkg-reconfigure wireshark-common,"
    " then sudo usermod -aG wireshark $USER and log in again. --no-tshark uses the recording proxy."
)


def find_tshark() -> str | None:
    """Its path, if it is installed."""
    return shutil.which("tshark")


def require_interface(name: str) -> None:
    """Refuse an interface that this machine has not. Raises ConfigurationError."""
    names = sorted(psutil.net_if_addrs())
    if name not in names:
        raise ConfigurationError(
            f"there is no interface {name}", remedy=f"There are: {', '.join(names)}.", code=ErrorCode.TSHARK_UNUSABLE
        )


def loopback_interface() -> str:
    """The name of the loopback interface: lo, or lo0 on BSD and macOS."""
    return next((name for name in psutil.net_if_addrs() if name.startswith("lo")), "lo")


@dataclass(slots=True)
class Sniffer:
    """A running capture."""

    tshark: str
    file: Path
    master_port: int
    process: asyncio.subprocess.Process

    async def settle_and_read(self) -> Capture:
        """Let the last packets arrive, end the capture, and answer it. Raises MeasurementError."""
        await asyncio.sleep(_SETTLE_S)
        await self.end()
        return await self.read()

    async def end(self) -> None:
        """Stop listening."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        await self.process.wait()

    async def read(self) -> Capture:
        """Decode the file. Raises MeasurementError."""
        words = [self.tshark, "-r", str(self.file), "-o", "tcp.desegment_tcp_streams:FALSE"]
        words += [
            "-d",
            f"tcp.port=={self.master_port},http",
            "-Y",
            "tcp",
            "-T",
            "fields",
            "-E",
            f"separator={_SEPARATOR}",
        ]
        for field in _FIELDS:
            words += ["-e", field]
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        printed, complaint = await process.communicate()
        if process.returncode != 0:
            raise MeasurementError(f"tshark cannot read its capture: {complaint.decode('utf-8', 'replace').strip()}")
        packets = parse_packets(printed.decode("utf-8", "replace"), self.master_port)
        return Capture("tshark", has_packets=True, packets=packets, connections=connections_of(packets))


def parse_packets(printed: str, master_port: int) -> tuple[Packet, ...]:
    """Tshark's lines as packets. Raises MeasurementError for a line that is none."""
    rows = [line.split(_SEPARATOR) for line in printed.splitlines() if line]
    packets: list[Packet] = []
    for number, row in enumerate(rows, start=1):
        if len(row) != len(_FIELDS):
            raise MeasurementError(f"tshark printed something else than {len(_FIELDS)} fields: {row[:3]}")
        epoch, stream, source, source_port, target, target_port, protocol, length, sequence, payload, info, *ipv6 = row
        packets.append(
            Packet(
                number,
                float(epoch) - float(rows[0][0]),
                int(stream),
                is_from_slave=int(target_port) == master_port,
                source=f"{source or ipv6[0]}:{source_port}",
                destination=f"{target or ipv6[1]}:{target_port}",
                protocol=protocol,
                frame_bytes=int(length),
                sequence=int(sequence),
                payload=bytes.fromhex(payload.replace(":", "")),
                info=info,
            )
        )
    return tuple(packets)


@asynccontextmanager
async def sniffing(tshark: str, interface: str, master_port: int) -> AsyncIterator[Sniffer]:
    """Listen to one TCP port of an interface while the context is open; then ``read``.

    Raises:
        ConfigurationError: There is no such interface, or it may not be listened to.
    """
    require_interface(interface)
    with tempfile.TemporaryDirectory(prefix="vgroup-capture-") as name:
        file = Path(name) / "capture.pcapng"
        process = await asyncio.create_subprocess_exec(
            *(tshark, "-i", interface, "-f", f"tcp port {master_port}", "-w", str(file), "-q"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        sniffer = Sniffer(tshark, file, master_port, process)
        try:
            await _wait_until_listening(process, interface)
            yield sniffer
        finally:
            await sniffer.end()


async def _wait_until_listening(process: asyncio.subprocess.Process, interface: str) -> None:
    if process.stderr is None:
        raise MeasurementError("tshark has no output")
    heard = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_TIMEOUT_S):
            while line := await process.stderr.readline():
                heard += line
                if b"Capture started" in line or b"-- File:" in line:
                    return
    said = heard.decode("utf-8", "replace").strip().splitlines()
    raise ConfigurationError(
        f"tshark does not listen on {interface}: {said[-1] if said else 'no answer'}",
        remedy=_PERMISSION,
        code=ErrorCode.TSHARK_UNUSABLE,
    )
