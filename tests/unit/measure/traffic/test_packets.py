import pytest

from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.traffic.packets import Capture, connections_of, describe_payload, from_proxy
from measure.traffic.run import SystemTraffic
from measure.traffic.secrecy import Finding, Kind
from measure.traffic.tables import bytes_table, fields_table, packets_table, secrecy_table
from measure.traffic.tshark import parse_packets, require_interface
from tests.unit.measure.traffic.test_secrecy import exchange

REQUEST = b"POST /keysSession HTTP/1.1\r\nContent-Length: 7\r\n\r\n"
BODY = b'{"v":1}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
SEPARATOR = "\x1f"


def line(at: float, *, from_slave: bool, sequence: int, payload: bytes, stream: int = 0, info: str = "x") -> str:
    ports = ("40000", "3000") if from_slave else ("3000", "40000")
    return SEPARATOR.join(
        (f"{1000 + at:.6f}", str(stream), "10.0.0.1", ports[0], "10.0.0.2", ports[1], "TCP", str(66 + len(payload)),
         str(sequence), payload.hex(), info, "", "")
    )  # fmt: skip


PRINTED = "\n".join(
    [
        line(0.0, from_slave=True, sequence=0, payload=b"", info="[SYN]"),
        line(0.1, from_slave=True, sequence=1, payload=REQUEST),
        line(0.2, from_slave=True, sequence=1 + len(REQUEST), payload=BODY),
        line(0.25, from_slave=True, sequence=1 + len(REQUEST), payload=BODY, info="[TCP Retransmission]"),
        line(0.5, from_slave=False, sequence=1, payload=ANSWER),
    ]
)


def heard() -> Capture:
    packets = parse_packets(PRINTED, 3000)
    return Capture("tshark", has_packets=True, packets=packets, connections=connections_of(packets))


def test_packets_become_one_exchange_and_a_retransmission_counts_once() -> None:
    (connection,) = heard().connections
    (seen,) = connection.exchanges
    assert (seen.path, seen.status) == ("/keysSession", 200)
    assert seen.request.wire_bytes == len(REQUEST) + len(BODY)
    assert seen.answer.ended_s == pytest.approx(0.5)
    assert heard().streams == [REQUEST + BODY, ANSWER]


def test_segment_that_overlaps_what_was_there_adds_its_new_part_alone() -> None:
    overlapping = "\n".join(
        [line(0, from_slave=True, sequence=1, payload=b"abcd"), line(1, from_slave=True, sequence=3, payload=b"cdef")]
    )
    assert connections_of(parse_packets(overlapping, 3000))[0].to_master.total_bytes == 6


def test_line_of_another_shape_is_refused() -> None:
    with pytest.raises(MeasurementError, match="something else"):
        parse_packets("a\x1fb", 3000)


def test_unknown_interface_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no interface nowhere0") as caught:
        require_interface("nowhere0")
    assert "There are: " in caught.value.remedy


@pytest.mark.parametrize(
    ("payload", "protocol", "info"),
    [
        (b"GET /x HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}", "HTTP", "GET /x HTTP/1.1 (application/json)"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\napplication/json", "HTTP", "HTTP/1.1 200 OK (text/html)"),
        (b"\x00\x01", "TCP", "[TCP segment, 2 bytes]"),
        (b"", "TCP", ""),
    ],
)  # fmt: skip
def test_payload_is_described_as_a_sniffer_would(payload: bytes, protocol: str, info: str) -> None:
    assert describe_payload(payload) == (protocol, info)


def test_proxys_segments_become_packets_in_time_order() -> None:
    capture = from_proxy([exchange(b"{}"), exchange(b"{}")], "slave", "master")
    assert [packet.number for packet in capture.packets] == [1, 2, 3, 4]
    assert [packet.time_s for packet in capture.packets] == [0.0, 0.0, 0.1, 0.1]
    assert not capture.has_packets


def test_tables_say_what_was_seen_and_beside_what() -> None:
    findings = (Finding("token", Kind.SECRET, ""), Finding("object id", Kind.IDENTITY, "member oid"))
    traffic = SystemTraffic("ours", heard(), findings, repeated=0, is_ours=True)
    assert bytes_table([traffic]).rows[0] == ("/keysSession", "1,727 / 2,122", "56 / 40")
    rows = {row[0]: row[1:] for row in secrecy_table([traffic], [Finding("token", Kind.SECRET, "raw")]).rows}
    assert rows["token"] == ("✓ not there", "✗ read")
    assert rows["object id"] == ("✗ member oid", "–")
    assert fields_table(traffic).rows[0][:3] == ("Fig. 9", "/keysSession", "v")
    assert len(packets_table("ours", heard()).rows) == 5
