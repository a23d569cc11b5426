"""Whatever is wrong with a request, on any path, it gets the same bytes and changes nothing (docs/protocol.md §2)."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from group_protocol.encoding import b64encode
from group_protocol.errors import Reason
from group_protocol.frames import Close, Open, Resume, encode_frame
from group_protocol.messages import BUSY_BODY, REFUSAL_BODY, SealedRequest
from master_api.store import schema
from tests.support.running_master import Bench, Device, running_master

pytestmark = pytest.mark.network

POSTS = ("/keysSession", "/getTicket", "/assoc", "/rotate", "/data")
SEALED_POSTS = POSTS[1:]
REFUSED = (400, REFUSAL_BODY)


def snapshot(bench: Bench) -> list[list[Any]]:
    """Every row of the store but the audit log, where refusals are noted."""
    tables = [table for table in schema.METADATA.sorted_tables if not table.name.startswith("audit")]
    return bench.store.read_now(lambda connection: [list(connection.execute(select(table))) for table in tables])


async def good_bodies(bench: Bench) -> dict[str, dict[str, Any]]:
    """A body for each path that would be taken, as fields."""
    device = await bench.joined_device(9)
    newcomer = bench.device(10, code=await bench.make_code())
    _, m3 = await newcomer.ask_for_keys()
    requests = {
        "/keysSession": bench.device(11).begin().start().to_body(),
        "/getTicket": m3.to_body(),
        "/assoc": device.session.control.seal_request(device.association().encode()).to_body(),
        "/rotate": device.session.control.seal_request(device.association().encode()).to_body(),
        "/data": device.seal_items(device.record()).to_body(),
    }
    return {path: json.loads(body) for path, body in requests.items()}


def dump(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


MALFORMED_BODIES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "empty": lambda _: b"",
    "not_json": lambda _: b"{",
    "array": lambda _: b"[]",
    "number": lambda _: b"7",
    "null": lambda _: b"null",
    "not_utf8": lambda _: b'{"sid":"\xff"}',
    "byte_order_mark": lambda fields: b"\xef\xbb\xbf" + dump(fields),
    "trailing_bytes": lambda fields: dump(fields) + b"{}",
    "nested_object": lambda fields: dump(fields | {"extra": {"a": 1}}),
    "deep_nesting": lambda _: b"[" * 4_000,
    "field_too_many": lambda fields: dump(fields | {"extra": "a"}),
    "field_missing": lambda fields: dump(dict(list(fields.items())[1:])),
    "field_twice": lambda fields: dump(fields)[:-1] + b',"' + list(fields)[-1].encode() + b'":""}',
    "null_field": lambda fields: dump(fields | {list(fields)[-1]: None}),
    "boolean_field": lambda fields: dump(fields | {next(iter(fields)): True}),
    "huge_integer": lambda fields: dump(fields)[:-1] + b',"n":' + b"9" * 4_000 + b"}",
    "fraction": lambda fields: dump(fields)[:-1] + b',"n":1.5}',
    "not_a_number": lambda fields: dump(fields)[:-1] + b',"n":NaN}',
    "padded_base64": lambda fields: dump(fields | {list(fields)[-1]: "AAAA===="}),
    "wrong_alphabet": lambda fields: dump(fields | {list(fields)[-1]: "++//"}),
    "lone_surrogate": lambda fields: dump(fields)[:-1] + b',"n":"\\ud800"}',
    "null_character": lambda fields: dump(fields | {list(fields)[-1]: "\x00"}),
}


@pytest.mark.parametrize("path", POSTS)
async def test_malformed_body_gets_the_uniform_refusal_and_changes_nothing(tmp_path: Path, path: str) -> None:
    async with running_master(tmp_path) as bench:
        fields = (await good_bodies(bench))[path]
        before = snapshot(bench)
        for name, spoil in MALFORMED_BODIES.items():
            assert await bench.post(path, spoil(fields)) == REFUSED, name
        assert snapshot(bench) == before


@pytest.mark.parametrize("path", POSTS)
async def test_each_tampered_byte_field_gets_the_uniform_refusal_and_changes_nothing(tmp_path: Path, path: str) -> None:
    async with running_master(tmp_path) as bench:
        fields = (await good_bodies(bench))[path]
        before = snapshot(bench)
        for name, value in fields.items():
            if path == "/keysSession" and name in {"gid", "sn", "share"}:
                continue  # M1 is not authenticated: a tampered one is a good M1 of somebody else
            if isinstance(value, str):
                raw = bytearray(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
                raw[len(raw) // 2] ^= 1
                assert await bench.post(path, dump(fields | {name: b64encode(bytes(raw))})) == REFUSED, name
                assert await bench.post(path, dump(fields | {name: value[:-2]})) == REFUSED, name
        assert snapshot(bench) == before


@pytest.mark.parametrize("seq", [1, 5, 65_536, 2**32, 2**48 - 1, 2**53 - 1])
async def test_sealed_request_under_another_seq_gets_the_uniform_refusal(tmp_path: Path, seq: int) -> None:
    async with running_master(tmp_path) as bench:
        bodies = await good_bodies(bench)
        before = snapshot(bench)
        for path in SEALED_POSTS:
            moved = seq + (bodies[path]["seq"] == seq)
            assert await bench.post(path, dump(bodies[path] | {"seq": moved})) == REFUSED, path
        assert snapshot(bench) == before


async def test_sealed_request_on_another_channel_gets_the_uniform_refusal(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        bodies = await good_bodies(bench)
        before = snapshot(bench)
        assert await bench.post("/data", dump(bodies["/assoc"])) == REFUSED
        assert await bench.post("/assoc", dump(bodies["/data"])) == REFUSED
        assert await bench.post("/getTicket", dump(bodies["/data"])) == REFUSED
        assert snapshot(bench) == before


async def test_m1_of_another_group_suite_or_version_gets_the_uniform_refusal(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        fields = (await good_bodies(bench))["/keysSession"]
        changes: tuple[dict[str, Any], ...] = (
            {"gid": b64encode(b"\x01" * 16)},
            {"gid": b64encode(b"\x01" * 15)},
            {"suites": ["R1"]},
            {"suites": ["E1", "H1"]},
            {"suites": ["E1", "E1"]},
            {"suites": []},
            {"suites": ["X9"]},
            {"aeads": ["A128GCM"]},
            {"aeads": ["A256GCM"] * 5},
            {"v": 2},
            {"v": 0},
            {"share": b64encode(bytes(32))},
            {"share": b64encode(b"\x09" * 31)},
            {"sn": b64encode(b"\x09" * 31)},
            {"cookie": b64encode(b"\x09" * 31)},
        )
        for change in changes:
            assert await bench.post("/keysSession", dump(fields | change)) == REFUSED, change


@pytest.mark.parametrize(("path", "most"), [(path, 262_144 if path == "/data" else 8_192) for path in POSTS])
async def test_oversized_body_gets_the_uniform_refusal(tmp_path: Path, path: str, most: int) -> None:
    async with running_master(tmp_path) as bench:
        fields = (await good_bodies(bench))[path]
        padded = dump(fields) + b" " * most
        assert await bench.post(path, padded) == REFUSED

        async def dribble() -> Any:
            for start in range(0, len(padded), 4_096):
                yield padded[start : start + 4_096]

        assert await bench.post(path, dribble()) == REFUSED, "chunked: no length announced"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/data"),
        ("DELETE", "/keysSession"),
        ("OPTIONS", "/data"),
        ("HEAD", "/nowhere"),
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", "/stream"),
        ("POST", "/healthz"),
        ("GET", "/stream"),
        ("GET", "/data/../../etc/passwd"),
        ("POST", "/DATA"),
        ("BREW", "/data"),
    ],
)
async def test_unknown_method_or_path_gets_the_uniform_refusal(tmp_path: Path, method: str, path: str) -> None:
    async with running_master(tmp_path) as bench, bench.http.request(method, bench.url + path) as answer:
        body = await answer.read()
        assert (answer.status, body) == (400, b"" if method == "HEAD" else REFUSAL_BODY)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Encoding": "gzip"},
    ],
)
async def test_body_that_is_no_plain_json_gets_the_uniform_refusal(tmp_path: Path, headers: dict[str, str]) -> None:
    async with running_master(tmp_path) as bench:
        body = dump((await good_bodies(bench))["/keysSession"])
        assert await bench.post("/keysSession", body, headers=headers) == REFUSED


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 500 + b"\r\n",
        b"POST /data HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /data HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /data HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n bad\x00: b\r\n\r\n",
    ],
    ids=lambda raw: raw[:24].hex(),
)
async def test_bytes_that_are_no_http_get_the_uniform_refusal(tmp_path: Path, raw: bytes) -> None:
    async with running_master(tmp_path) as bench:
        host, port = bench.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(raw)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
        assert body == REFUSAL_BODY
        assert b"aiohttp" not in head


async def test_sender_of_a_body_that_does_not_come_in_time_is_told_to_come_again(tmp_path: Path) -> None:
    async with running_master(tmp_path, body_timeout_s=0.2) as bench:
        host, port = bench.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /keysSession HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b" 429 " in head.split(b"\r\n")[0]
        assert b"\r\nRetry-After: 1\r\n" in head
        assert await asyncio.wait_for(reader.read(), 5) == BUSY_BODY
        writer.close()


async def test_request_of_an_unknown_or_ended_session_gets_the_uniform_refusal(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(9)
        unknown = SealedRequest(type(device.session.sid)(bytes(16)), 0, b"x" * 40)
        for path in SEALED_POSTS:
            assert await bench.post(path, unknown.to_body()) == REFUSED
        request = device.seal_items(device.record())
        bench.clock.advance(86_401)
        assert await bench.post("/data", request.to_body()) == REFUSED


async def test_replayed_unit_behind_the_window_gets_the_uniform_refusal(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(9)
        first = device.seal_items(device.record())
        await device.send_request(first)
        for _ in range(64):
            await device.send(device.record())
        before = snapshot(bench)
        assert await bench.post("/data", first.to_body()) == REFUSED
        assert snapshot(bench) == before


async def test_paper_form_get_with_json_body_is_answered_like_post(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        body = bench.device(11).begin().start().to_body()
        headers = {"Content-Type": "application/json"}
        async with bench.http.get(bench.url + "/keysSession", data=body, headers=headers) as answer:
            assert answer.status == 200
            assert set(json.loads(await answer.read())) == {"v", "suite", "aead", "sid", "mn", "share", "sig", "fin"}


async def test_frame_that_is_no_items_is_refused_inside_the_sealed_answer(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device = await bench.joined_device(9)
        for plaintext in (
            encode_frame(Open()),
            encode_frame(Resume(1)),
            encode_frame(Close(Reason.NONE)),
            b"",
            b"\x02",
            b"\x02\x01",
            b"\xff" * 50,
        ):
            ack = await device.send_request(device.session.data.seal_request(plaintext))
            assert (ack.last_seq, ack.reason) == (0, Reason.MALFORMED)


async def test_malformed_association_or_rotation_is_refused_inside_the_sealed_answer(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        device: Device = await bench.joined_device(9)
        for path in ("/assoc", "/rotate"):
            for plaintext in (b"", b"\x00" * 135, b"\x00" * 200, b"\xff" * 5_000):
                result = await device.ask_control(path, plaintext)
                assert result.reason is Reason.MALFORMED


async def test_master_without_a_group_refuses_devices(tmp_path: Path) -> None:
    async with running_master(tmp_path, has_group=False) as bench:
        assert await bench.post("/keysSession", bench.device(11).begin().start().to_body()) == REFUSED
