import base64
import json

import pytest

from measure.traffic.secrecy import Kind, Secret, find_secrets, repeated_ciphertexts, spellings
from measure.wire.capture import RecordedConnection

TOKEN = Secret("token", Kind.SECRET, bytes(range(100, 164)))
OID = Secret("object id", Kind.IDENTITY, bytes.fromhex("9d9c"))


def exchange(*bodies: bytes, path: str = "/data", method: bytes = b"POST") -> RecordedConnection:
    connection = RecordedConnection(0.0, segments=[])
    for body in bodies:
        head = b"%s %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (method, path.encode(), len(body))
        connection.take_from_slave(head + body, 0.0)
        connection.take_from_master(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0.1)
    return connection


def look(secret: Secret, *bodies: bytes) -> str:
    connection = exchange(*bodies)
    streams = [b"".join(segment.payload for segment in connection.segments or ())]
    return find_secrets([secret], streams, [connection])[0].spelling


@pytest.mark.parametrize("spelling", sorted(spellings(b"x" * 8)))
def test_secret_in_any_spelling_is_found(spelling: str) -> None:
    spelt = spellings(TOKEN.raw)[spelling]
    assert look(TOKEN, b'{"a":"' + spelt + b'"}') != ""


def test_secret_inside_a_longer_base64_member_is_found_at_any_offset() -> None:
    for offset in range(3):
        inner = base64.urlsafe_b64encode(b"z" * offset + TOKEN.raw + b"end").rstrip(b"=").decode()
        assert look(TOKEN, json.dumps({"sealed": inner}).encode()) == "inside member sealed"


def test_secret_inside_a_buffer_is_found() -> None:
    body = json.dumps({"key": {"type": "Buffer", "data": [1, 2, *TOKEN.raw]}}).encode()
    assert look(TOKEN, body) == "inside member key.data"


def test_ciphertext_hides_it() -> None:
    sealed = base64.b64encode(bytes(byte ^ 0x5A for byte in TOKEN.raw)).decode()
    assert look(TOKEN, json.dumps({"sealed": sealed}).encode()) == ""


def test_two_byte_id_is_found_as_a_member_and_not_by_chance() -> None:
    assert look(OID, b'{"oid":"9d9c"}') == "member oid"
    assert look(OID, json.dumps({"sealed": "aa" + OID.raw.hex() + "bbcc"}).encode()) == ""


def test_body_that_is_no_json_is_searched_as_bytes() -> None:
    assert look(TOKEN, b"\xff" + TOKEN.raw) == "raw"


def test_equal_ciphertexts_are_counted() -> None:
    same, other = b'{"data":"AAAA"}', b'{"data":"BBBB"}'
    assert repeated_ciphertexts([exchange(same, same, same, other)], "/data", "data") == 2
    assert repeated_ciphertexts([exchange(same), exchange(other)], "/data", "data") == 0
    assert repeated_ciphertexts([exchange(b"{}", b"x")], "/data", "data") == 0
