"""JSON and CBOR bombs: refused for what they are, in bounded memory, while the others are served."""

import gzip
import struct
from collections.abc import Iterator, Mapping

import pytest

from group_protocol.errors import Reason
from group_protocol.limits import DATA_BODY_MAX_BYTES, HANDSHAKE_BODY_MAX_BYTES, STREAM_MESSAGE_MAX_BYTES
from measure.paper_baseline.http_form import TICKET_PATH
from measure.paper_baseline.messages import TicketRequest
from tests.attacks.edge import POLICY_VIOLATION, REFUSED, Edge
from tests.attacks.papers_flow import PapersFlow

pytestmark = [pytest.mark.network, pytest.mark.processes]

MIB = 2**20
GROWTH_MAX_BYTES = 48 * MIB
"""Far above what an allocator keeps, far below what any of these bombs asks for."""
PATHS = ("/keysSession", "/getTicket", "/assoc", "/rotate", "/data")
MESSAGE_TOO_BIG = 1009
"""RFC 6455 §7.4.1."""


def json_bombs(size: int) -> Iterator[tuple[str, bytes]]:
    yield "nested arrays", b"[" * size
    yield "nested objects", b'{"a":' * (size // 5)
    yield "closed nested arrays", b'{"sid":' + b"[" * (size // 2 - 8) + b"]" * (size // 2 - 8) + b"}"
    yield "one long number", b'{"seq":' + b"9" * (size - 8) + b"}"
    yield "a huge exponent", b'{"sid":"","seq":1e999999999,"sealed":""}'
    yield "one name many times", b"{" + b'"sid":"",' * (size // 9 - 1) + b'"sid":""}'
    yield "many names", b"{" + b",".join(b'"%d":0' % number for number in range(size // 10)) + b"}"
    yield "escapes", b'{"sid":"' + b"\\u0000" * (size // 6 - 3) + b'"}'
    yield "white space", b" " * size
    yield "one long string", b'{"sid":"' + b"A" * (size - 10) + b'"}'
    yield "beyond the bound", b" " * (size + 1)
    yield "far beyond the bound", b" " * (4 * MIB)


@pytest.mark.parametrize("path", PATHS)
async def test_json_bomb_is_refused_in_bounded_memory(edge: Edge, path: str) -> None:
    size = DATA_BODY_MAX_BYTES if path == "/data" else HANDSHAKE_BODY_MAX_BYTES
    before = edge.master.resident_bytes
    async with edge.master.unchanged():
        for name, bomb in json_bombs(size):
            assert await edge.ask(path, bomb) == REFUSED, name
    assert edge.master.resident_bytes - before < GROWTH_MAX_BYTES


async def test_compressed_bomb_is_refused_unopened(edge: Edge) -> None:
    bomb = gzip.compress(b" " * 64 * MIB)
    before = edge.master.resident_bytes
    async with edge.master.unchanged():
        for encoding in ("gzip", "deflate", "br", "identity, gzip"):
            answer = await edge.ask("/data", bomb, **{"Content-Encoding": encoding})
            assert answer == REFUSED, encoding
    assert edge.master.resident_bytes - before < GROWTH_MAX_BYTES


CBOR_BOMBS: Mapping[str, bytes] = {
    "an array of 2^64 - 1": b"\x9b" + b"\xff" * 8,
    "an array of 2^32 - 1": b"\x9a" + b"\xff" * 4,
    "a map of 2^64 - 1": b"\x81\xbb" + b"\xff" * 8,
    "a text of 2^64 - 1 bytes": b"\x81\xa1\x00\x7b" + b"\xff" * 8,
    "bytes of 2^31": b"\x81\xa1\x08\x5a\x80\x00\x00\x00",
    "nested arrays": b"\x81" * 60_000,
    "nested maps": b"\xa1\x00" * 30_000,
    "nested tags": b"\xc1" * 60_000,
    "a big number of 50,000 bytes": b"\x81\xa1\x02\xc2\x59\xc3\x50" + b"\xff" * 50_000,
    "an indefinite array": b"\x9f" + b"\xa1\x00\x61a" * 1_000 + b"\xff",
    "an indefinite array without an end": b"\x9f" * 60_000,
    "an indefinite text of many parts": b"\x81\xa1\x00\x7f" + b"\x61a" * 20_000 + b"\xff",
    "a shared reference to itself": b"\xd8\x1c\x81\xd8\x1d\x00",
    "one base name for more readings than there may be": (
        b"\x99"
        + struct.pack(">H", 1_025)
        + b"\xa3\x21\x78\xff"
        + b"n" * 255
        + b"\x00\x60\x02\x00"
        + b"\xa1\x02\x00" * 1_024
    ),
    "the same label ten thousand times": b"\x81\xb9\x27\x10" + b"\x02\x00" * 10_000,
}


@pytest.mark.parametrize("bomb", CBOR_BOMBS)
async def test_cbor_bomb_is_refused_in_bounded_memory(edge: Edge, bomb: str) -> None:
    """Inside a record that a member has signed: the worst that a member gone bad can send."""
    device = await edge.member()
    before = edge.master.resident_bytes
    async with edge.master.unchanged():
        for _ in range(3):
            ack = await device.send(device.record(seq=1, content=CBOR_BOMBS[bomb]))
            assert (ack.last_seq, ack.reason) == (0, Reason.MALFORMED)
    assert edge.master.resident_bytes - before < GROWTH_MAX_BYTES
    assert (await device.send(device.record(seq=1))).last_seq == 1


async def test_frame_that_promises_more_than_it_holds_is_refused(edge: Edge) -> None:
    """Lengths and counts in the binary layouts: an item whose payload would be 4 GiB long."""
    device = await edge.member()
    item = b"\x01" + device.ticket.master_oid + struct.pack(">QQI", 1, device.ticket.epoch, 2**32 - 1)
    async with edge.master.unchanged():
        for plaintext in (
            b"\x02" + item,
            b"\x02" + item + bytes(64),
            b"\x02" + b"\x02" * 100_000,
            b"\x01" + b"\xff" * 50_000,
        ):
            ack = await device.send_request(device.session.data.seal_request(plaintext))
            assert (ack.last_seq, ack.reason) == (0, Reason.MALFORMED)


async def test_message_beyond_a_streams_bound_is_refused_before_it_is_held(edge: Edge) -> None:
    before = edge.master.resident_bytes
    async with edge.master.unchanged():
        code = await edge.close_code_after(bytes(STREAM_MESSAGE_MAX_BYTES + 1))
        assert code in (POLICY_VIOLATION, MESSAGE_TOO_BIG)
    assert edge.master.resident_bytes - before < GROWTH_MAX_BYTES


async def test_bloated_body_succeeds_against_the_papers_flow(paper: PapersFlow) -> None:
    """No bound and no list of members is stated: whatever stands around what is needed is read and passed over."""
    await paper.client.share_session_key(paper.device)
    request = TicketRequest(paper.device.object_id, paper.device.public_key).encode()
    padded = request[:-1] + b"," + b",".join(b'"%d":[[[[{}]]]]' % number for number in range(25_000)) + b"}"
    assert len(padded) > 50 * HANDSHAKE_BODY_MAX_BYTES

    assert await paper.client.exchange(TICKET_PATH, padded)
