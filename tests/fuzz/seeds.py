"""First inputs for the fuzzer, out of the frozen vectors: ``python -m tests.fuzz.seeds`` adds them to the corpus."""

import json
from typing import Any

from group_protocol.encoding import b64decode
from group_protocol.senml import Reading, encode_readings
from group_protocol.succession import SuccessionRequest
from tests.fuzz.gateway_seeds import gateway_seeds
from tests.fuzz.kept_inputs import FOLDER, load_corpus, save_corpus
from tests.fuzz.outer_seeds import chain_seeds, edge_seeds, file_seeds, finding_seeds
from tests.fuzz.proof_seeds import proof_seeds
from tests.fuzz.targets import TARGETS
from tests.vectors.make_vectors import HERE, MASTER, NEW_SLAVE

_LAYOUTS = ("m3_plaintext", "m4_plaintext", "m5_plaintext", "m6_plaintext")
_EXTENSION = bytes.fromhex("0001 0002 abcd 7fff 0000".replace(" ", ""))


def make_seeds() -> dict[str, list[bytes]]:
    """For each target some inputs that its decoder takes."""
    vectors: dict[str, dict[str, Any]] = {
        name: json.loads((HERE / f"{name}.json").read_text())
        for name in ("e1", "h1", "r1", "records", "peer", "identifiers", "succession")
    }
    exchanges = [vectors[name] for name in ("e1", "h1", "r1")]
    ids, records = vectors["identifiers"], vectors["records"]
    peer = vectors["peer"]["frames"]
    frames = [bytes.fromhex(frame) for frame in (*records["frames"].values(), *peer.values())]
    items = bytes.fromhex(records["frames"]["items"])[1:]
    shares = [json.loads(exchange["m1_body"]) for exchange in exchanges]
    inner = [
        bytes([number]) + bytes.fromhex(exchanges[0][name]) + extension
        for number, name in enumerate(_LAYOUTS)
        for extension in (b"", _EXTENSION)
    ]
    rotation = NEW_SLAVE.public_key + bytes(8) + bytes(128)
    seeds = {
        "m1": [exchange["m1_body"].encode() for exchange in exchanges],
        "m2": [exchange["m2_body"].encode() for exchange in exchanges] + [_cookie()],
        "successions": [
            b"q" + SuccessionRequest(MASTER.address).to_body(),
            b"a" + vectors["succession"]["body"].encode(),
        ],
        "sealed_bodies": [exchange[f"{name}_body"].encode() for exchange in exchanges for name in ("m3", "m4", "data")],
        "base64url": [b"", b"AA", b"AAA", b"_-8", shares[0]["share"].encode()],
        "inner_plaintexts": [*inner, bytes([4]) + rotation],
        "extensions": [b"", _EXTENSION],
        "items": [items, bytes.fromhex(records["signed_record"]), bytes.fromhex(records["checkpoint"])],
        "frames": [*frames, b"\x01" + _EXTENSION],
        "deliveries": [bytes.fromhex(peer["delivery"])[1:], bytes.fromhex(peer["delivery"])[1:] + _EXTENSION],
        "intake": [items, bytes.fromhex(records["signed_record"])],
        "senml": [bytes.fromhex(records["payload"]), *_payloads()],
        "pairing_string": [ids["pairing_string"].encode(), *_endpoints(ids["pairing_string"])],
        "stream_openings": [bytes.fromhex(exchange["stream_opening"]) for exchange in exchanges],
        "public_keys": [bytes.fromhex(ids["slave_public_key"]), _compressed(bytes.fromhex(ids["slave_public_key"]))],
        "shares": [_unb64(share.get("share") or share["slavePubRSAKey"]) for share in shares],
        "signatures": [bytes.fromhex(ids["token_digest"] + ids["token"])],
    }
    seeds |= chain_seeds() | edge_seeds() | file_seeds() | finding_seeds() | gateway_seeds() | proof_seeds()
    assert set(seeds) == set(TARGETS)
    return seeds


def _cookie() -> bytes:
    return b'{"v":1,"cookie":"' + b"A" * 43 + b'"}'


def _payloads() -> list[bytes]:
    time_s = 1_700_000_000.5
    values = (1.5, -3.0, True, "off", b"\x00\xff", None)
    readings = [Reading(f"bed/{at}", time_s + at, value, "W", 2.0) for at, value in enumerate(values)]
    return [encode_readings(readings), encode_readings(readings[:1])]


def _endpoints(text: str) -> list[bytes]:
    head = text.split("@", maxsplit=1)[0]
    return [f"{head}@{end}".encode() for end in ("[2001:db8::1]:3001", "10.0.0.1", "a.b-c.example.:65535")]


def _compressed(key: bytes) -> bytes:
    return bytes([2 + key[64] % 2]) + key[1:33]


def _unb64(text: str) -> bytes:
    return b64decode(text)


def main() -> None:
    """Add the seeds to what is kept."""
    for target, seeds in make_seeds().items():
        kept = load_corpus(target) if (FOLDER / f"{target}.txt").exists() else []
        save_corpus(target, [*kept, *seeds])


if __name__ == "__main__":
    main()
