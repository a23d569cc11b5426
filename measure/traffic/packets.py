"""A capture: packets as they passed, and the connections that they make up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from measure.wire.capture import RecordedConnection, Segment

_INFO_MAX_CHARACTERS: Final = 60
_KINDS: Final = ("text/html", "application/json")


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet.

    Attributes:
        number: From 1.
        time_s: Since the first.
        stream: Which connection, from 0.
        is_from_slave: Its direction.
        source: Address and port.
        frame_bytes: Length on the wire; of a proxy's segment the payload's, since it sees no headers below TCP's.
        sequence: TCP's relative sequence number of the first payload byte; 0 where unknown.
        info: What it is, in a line.
    """

    number: int
    time_s: float
    stream: int
    is_from_slave: bool
    source: str
    destination: str
    protocol: str
    frame_bytes: int
    sequence: int
    payload: bytes
    info: str


@dataclass(frozen=True, slots=True)
class Capture:
    """What was heard of one system.

    Attributes:
        by: The program that listened.
        has_packets: Whether every packet is here, as from a sniffer, or payloads alone.
    """

    by: str
    has_packets: bool
    packets: tuple[Packet, ...]
    connections: tuple[RecordedConnection, ...]

    @property
    def streams(self) -> list[bytes]:
        """Every byte of each connection's two directions."""
        return [
            b"".join(segment.payload for segment in connection.segments or () if segment.is_from_slave is from_slave)
            for connection in self.connections
            for from_slave in (True, False)
        ]


def from_proxy(connections: Sequence[RecordedConnection], slave: str, master: str) -> Capture:
    """A capture out of what the recording proxy kept."""
    numbered = [
        (segment, stream) for stream, connection in enumerate(connections) for segment in connection.segments or ()
    ]
    numbered.sort(key=lambda pair: pair[0].at_s)
    began_s = numbered[0][0].at_s if numbered else 0.0
    packets = tuple(
        _packet_of(number, segment, stream, began_s, slave, master)
        for number, (segment, stream) in enumerate(numbered, start=1)
    )
    return Capture("recording proxy", has_packets=False, packets=packets, connections=tuple(connections))


def connections_of(packets: Iterable[Packet], began_s: float = 0.0) -> tuple[RecordedConnection, ...]:
    """Put each connection's payloads together again; what TCP sent twice counts once."""
    connections: dict[int, RecordedConnection] = {}
    next_sequence: dict[tuple[int, bool], int] = {}
    for packet in packets:
        connection = connections.setdefault(packet.stream, RecordedConnection(began_s + packet.time_s, segments=[]))
        lane = (packet.stream, packet.is_from_slave)
        fresh = packet.payload[max(0, next_sequence.get(lane, packet.sequence) - packet.sequence) :]
        if not fresh:
            continue
        next_sequence[lane] = packet.sequence + len(packet.payload)
        take = connection.take_from_slave if packet.is_from_slave else connection.take_from_master
        take(fresh, began_s + packet.time_s)
    return tuple(connections[stream] for stream in sorted(connections))


def describe_payload(payload: bytes) -> tuple[str, str]:
    """Protocol and first line of what a payload begins with."""
    line = payload.split(b"\r\n", 1)[0][:_INFO_MAX_CHARACTERS].decode("latin-1")
    if line.startswith(("GET ", "POST ", "HTTP/1.")):
        head = payload.split(b"\r\n\r\n", 1)[0]
        kind = next((kind for kind in _KINDS if kind.encode() in head), "")
        return "HTTP", f"{line} ({kind})" if kind else line
    return "TCP", f"[TCP segment, {len(payload):,} bytes]" if payload else ""


def _packet_of(number: int, segment: Segment, stream: int, began_s: float, slave: str, master: str) -> Packet:
    protocol, info = describe_payload(segment.payload)
    source, destination = (slave, master) if segment.is_from_slave else (master, slave)
    return Packet(
        number,
        segment.at_s - began_s,
        stream,
        segment.is_from_slave,
        source,
        destination,
        protocol,
        len(segment.payload),
        0,
        segment.payload,
        info,
    )
