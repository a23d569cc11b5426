"""The frozen vectors against the code, and against a second reading of ``docs/protocol.md`` that uses none of it."""

import base64
import hashlib
import hmac
import json
from typing import Any

import coincurve
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from tests.vectors.make_vectors import HERE, make_all

HANDSHAKES = pytest.mark.parametrize("name", ["h1", "e1", "r1"])


def _load(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return parsed


@pytest.mark.parametrize(
    "name", [f"{name}.json" for name in ("identifiers", "h1", "e1", "r1", "records", "succession")]
)
def test_code_still_makes_the_frozen_vectors(name: str) -> None:
    assert make_all()[name] == (HERE / name).read_text()


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def _b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _lp(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def _sha(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def _mac(key: bytes, raw: bytes) -> bytes:
    return hmac.new(key, raw, hashlib.sha256).digest()


def _derive(key: bytes, label: str, context: bytes) -> bytes:
    return _mac(key, _lp(b"vgroup/1 " + label.encode(), context) + b"\x01")


def _transcript(vector: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    m1, m2 = json.loads(vector["m1_body"]), json.loads(vector["m2_body"])
    is_rsa = vector["suite"] == "R1"
    th1 = _sha(
        _lp(
            b"vgroup/1",
            m2["suite"].encode(),
            m2["aead"].encode(),
            _lp(*(suite.encode() for suite in m1["suites"])),
            _lp(*(aead.encode() for aead in m1["aeads"])),
            _b64(m1["gid"]),
            _b64(m1["sn"]),
            _b64(m1["slavePubRSAKey" if is_rsa else "share"]),
            _b64(m2["sid"]),
            _b64(m2["mn"]),
            _b64(m2["encryptedAESKey" if is_rsa else "share"]),
        )
    )
    sig = _b64(m2["sig"])
    hs = _mac(th1, _unhex(vector["ikm"]))
    fin = _mac(_derive(hs, "m fin", th1), sig)
    return th1, hs, _sha(_lp(th1, sig, fin))


@HANDSHAKES
def test_transcript_and_keys_follow_from_the_page(name: str) -> None:
    vector = _load(name)
    th1, hs, th2 = _transcript(vector)
    assert (th1.hex(), hs.hex(), th2.hex()) == (vector["th1"], vector["hs"], vector["th2"])
    th3 = _sha(_lp(th2, _unhex(vector["m3_plaintext"])))
    ms = _mac(_derive(hs, "derived", th2), bytes(32))
    assert (th3.hex(), ms.hex()) == (vector["th3"], vector["ms"])
    assert vector["k3"] == _derive(hs, "s hs", th2).hex()
    assert vector["keys"] == {lane: _derive(ms, lane, th3).hex() for lane in vector["keys"]}
    assert len(vector["keys"]) == 6


def _open(vector: dict[str, Any], key: str, *, seq: int, channel: int, direction: int, sealed: bytes) -> str:
    cipher = (AESGCM if vector["aead"] == "A256GCM" else ChaCha20Poly1305)(_unhex(key))
    sid = _b64(json.loads(vector["m2_body"])["sid"])
    associated = bytes([channel, direction]) + (seq >> 16).to_bytes(4, "big") + sid
    return cipher.decrypt(bytes(4) + seq.to_bytes(8, "big"), sealed, associated).hex()


@HANDSHAKES
@pytest.mark.parametrize(
    ("body", "key", "seq", "channel", "direction", "plaintext"),
    [
        ("m3_body", "k3", 0, 0, 0, "m3_plaintext"),
        ("m4_body", "m2s control", 0, 0, 1, "m4_plaintext"),
        ("m5_body", "s2m control", 1, 0, 0, "m5_plaintext"),
        ("m6_body", "m2s control", 1, 0, 1, "m6_plaintext"),
        ("data_body", "s2m data", 0, 1, 0, "data_frame"),
        ("data_answer_body", "m2s data", 0, 1, 1, "ack_frame"),
    ],
)
def test_sealed_units_open_as_the_page_says(
    name: str, body: str, key: str, seq: int, channel: int, direction: int, plaintext: str
) -> None:
    vector = _load(name)
    sealed = _b64(json.loads(vector[body])["sealed"])
    lane_key = vector["k3"] if key == "k3" else vector["keys"][key]
    opened = _open(vector, lane_key, seq=seq, channel=channel, direction=direction, sealed=sealed)
    assert opened == vector[plaintext]


@HANDSHAKES
def test_stream_messages_open_as_the_page_says(name: str) -> None:
    vector = _load(name)
    opening = _unhex(vector["stream_opening"])
    key = vector["keys"]["s2m stream"]
    assert opening[:16] == _b64(json.loads(vector["m2_body"])["sid"])
    assert _open(vector, key, seq=0, channel=2, direction=0, sealed=opening[24:]) == "01"
    second = _unhex(vector["stream_second"])
    assert second[:8] == (1).to_bytes(8, "big")
    assert _open(vector, key, seq=1, channel=2, direction=0, sealed=second[8:]) == vector["data_frame"]
    later = _unhex(vector["stream_first_of_generation_1"])
    next_key = _derive(_unhex(key), "upd", b"").hex()
    assert next_key == vector["stream_key_of_generation_1"]
    assert later[:8] == (1 << 16).to_bytes(8, "big")
    assert _open(vector, next_key, seq=1 << 16, channel=2, direction=0, sealed=later[8:]) == vector["data_frame"]


@HANDSHAKES
def test_signatures_are_the_keys_that_the_vector_names(name: str) -> None:
    vector = _load(name)
    identity = _unhex(vector["m3_plaintext"])
    for digest, signature, secret in (
        (vector["master_digest"], _unhex(vector["sig"]), vector["master_secret"]),
        (vector["slave_digest"], identity[65:129], vector["slave_secret"]),
    ):
        plain_s = bytes([signature[32] & 0x7F]) + signature[33:]
        recoverable = signature[:32] + plain_s + bytes([signature[32] >> 7])
        recovered = coincurve.PublicKey.from_signature_and_message(recoverable, _unhex(digest), hasher=None)
        assert recovered.format() == coincurve.PrivateKey(_unhex(secret)).public_key.format()
    assert identity[:65] == coincurve.PrivateKey(_unhex(vector["slave_secret"])).public_key.format(compressed=False)


@HANDSHAKES
def test_pairing_proof_follows_from_the_page(name: str) -> None:
    vector = _load(name)
    identity, code = _unhex(vector["m3_plaintext"]), _unhex(vector["pairing_code"])
    address = _unhex(_load("identifiers")["slave_address"])
    assert identity[129] == 40
    assert identity[130:138] == _sha(_lp(b"vgroup/1 code id", code))[:8]
    assert identity[138:] == _mac(code, _lp(b"vgroup/1 pairing proof", _unhex(vector["th2"]), address))


def test_running_hashes_follow_from_the_page() -> None:
    vector = _load("records")
    running = bytes(32)
    for raw, expected in zip(vector["checkpointed_records"], vector["running_hashes"], strict=True):
        record = _unhex(raw)
        to, seq, payload = record[1:17], record[17:25], record[37:]
        running = _sha(running + to + seq + _sha(payload))
        assert running.hex() == expected


def test_leaves_and_root_of_an_anchor_follow_from_the_page() -> None:
    vector = _load("anchor")
    fields = zip(vector["payload_hashes"], vector["signatures"], strict=True)
    leaves = []
    for number, (digest, signature) in enumerate(fields, start=1):
        u64 = number.to_bytes(8, "big")
        ids = (_unhex(vector["gid"]), u64, _unhex(vector["from"]), _unhex(vector["to"]), u64)
        received = (1_700_000_000_000 + number).to_bytes(8, "big")
        rest = ((1).to_bytes(8, "big"), _unhex(digest), _unhex(vector["sid"]), received, _unhex(signature))
        leaves.append(_sha(b"\0" + _lp(b"vgroup/1 record leaf", *ids, *rest)))
    assert [leaf.hex() for leaf in leaves] == vector["leaves"]
    left = _sha(b"\1" + _sha(b"\1" + leaves[0] + leaves[1]) + _sha(b"\1" + leaves[2] + leaves[3]))
    assert _sha(b"\1" + left + leaves[4]).hex() == vector["root"]
    assert vector["paths"][4] == [left.hex()]


def test_delivery_is_laid_out_as_the_page_says() -> None:
    vector = _load("peer")
    frame = _unhex(vector["frames"]["delivery"])
    assert frame[0] == 0x13
    assert frame[1:46] == (9).to_bytes(8, "big") + _unhex(vector["from"]) + _unhex(vector["first_address"]) + b"\1"
    assert frame[46 + 156 :] == _unhex(vector["signed_record"])
    assert vector["frames"]["receipt"] == "05" + "0000000000000009" + "0" * 16 + "0000"
    assert vector["frames"]["receipt_of_refusal"] == "05" + "0000000000000009" + "0000000000000008" + "0002"


def test_no_two_vectors_share_a_key() -> None:
    keys = [key for name in ("h1", "e1", "r1") for key in _load(name)["keys"].values()]
    assert len(set(keys)) == len(keys) == 18
