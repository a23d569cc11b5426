"""A proof's file: written as the page has it, and read so strictly that nothing else is a proof."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from group_protocol.errors import DecodingError
from group_protocol.identifiers import ObjectId
from group_protocol.record_proofs import PROOF_MAX_BYTES, PeriodRecord, RecordProof, parse_record_proof
from group_protocol.records import payload_hash
from tests.support.record_proofs import (
    ANCHOR,
    CHECKPOINT,
    COVERED,
    PERIOD,
    PERIODIC,
    SIGNED,
    STORE,
    proof_of,
    with_evidence,
)
from tests.support.records import DEVICE, GID, MASTER


def to_text(proof: RecordProof) -> str:
    return json.dumps(proof.to_json())


def test_signed_record_is_written_as_the_page_has_it() -> None:
    signature = SIGNED.record.signature
    assert signature is not None
    assert SIGNED.to_json() == {
        "format": "vgroup record proof 1",
        "chain_id": 1337,
        "contract": "0x" + "42" * 20,
        "gid": GID.hex(),
        "anchor": {
            "root": ANCHOR.root.hex(),
            "from_record": 3,
            "to_record": 9,
            "transaction": "0x" + "74" * 32,
            "block": 77,
        },
        "tree": {"index": 0, "size": 5, "path": [node.hex() for node in SIGNED.path]},
        "record": {
            "number": 3,
            "from": DEVICE.hex(),
            "to": MASTER.hex(),
            "seq": 1,
            "epoch": 1,
            "payload": STORE[3].payload.hex(),
            "payload_hash": payload_hash(STORE[3].payload).hex(),
            "sid": "73" * 16,
            "received_at_unix_ms": 1_700_000_000_003,
            "signature": signature.hex(),
        },
        "checkpoint": None,
    }


def test_checkpointed_record_is_written_with_the_whole_period() -> None:
    written: Any = PERIODIC.to_json()
    assert written["record"]["signature"] is None
    assert written["checkpoint"] == {
        "first_seq": 2,
        "last_seq": 5,
        "epoch": 1,
        "running_hash": PERIOD.running_hash.hex(),
        "signature": CHECKPOINT.signature.hex(),
        "records": [[MASTER.hex(), record.seq, payload_hash(record.payload).hex()] for record in COVERED],
    }


@pytest.mark.parametrize("number", STORE)
def test_proof_survives_its_file(number: int) -> None:
    assert parse_record_proof(to_text(proof_of(number)).encode()) == proof_of(number)


_Path = tuple[str | int, ...]


def places(value: object, at: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """Every value within a proof, and where it stands."""
    members: Any = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for name, member in members:
        yield (*at, name), member
        yield from places(member, (*at, name))


def changed(proof: RecordProof, at: _Path, value: object = None, *, drop: bool = False) -> bytes:
    fields: Any = copy.deepcopy(proof.to_json())
    inner = fields
    for name in at[:-1]:
        inner = inner[name]
    if drop:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return json.dumps(fields).encode()


PLACES: Final = [(proof, at, value) for proof in (SIGNED, PERIODIC) for at, value in places(proof.to_json())]
NAMES: Final = [(proof, at) for proof, at, _ in PLACES if isinstance(at[-1], str)]
NUMBERS: Final = [(proof, at) for proof, at, value in PLACES if isinstance(value, int)]
BYTES: Final = [(proof, at, value) for proof, at, value in PLACES if isinstance(value, str) and at != ("format",)]


def name_of(value: object) -> str | None:
    return ".".join(map(str, value)) if isinstance(value, tuple) else "" if isinstance(value, RecordProof) else None


@pytest.mark.parametrize(("proof", "at"), NAMES, ids=name_of)
def test_proof_without_a_field_raises_decoding_error(proof: RecordProof, at: _Path) -> None:
    with pytest.raises(DecodingError):
        parse_record_proof(changed(proof, at, drop=True))


@pytest.mark.parametrize(("proof", "at", "was"), PLACES, ids=name_of)
def test_value_of_another_kind_raises_decoding_error(proof: RecordProof, at: _Path, was: object) -> None:
    kinds: list[object] = [True, 1.0, {}, "not hex", [{}], [1]]
    if at not in {("checkpoint",), ("record", "signature")}:
        kinds.append(None)
    for value in kinds:
        assert value is not was
        with pytest.raises(DecodingError):
            parse_record_proof(changed(proof, at, value))


@pytest.mark.parametrize(("proof", "at"), NUMBERS, ids=name_of)
def test_number_is_one_of_64_bits(proof: RecordProof, at: _Path) -> None:
    for number in (0, (1 << 64) - 1):
        assert parse_record_proof(changed(proof, at, number)).to_json() == json.loads(changed(proof, at, number))
    for number in (-1, 1 << 64):
        with pytest.raises(DecodingError):
            parse_record_proof(changed(proof, at, number))


@pytest.mark.parametrize(("proof", "at", "text"), BYTES, ids=name_of)
def test_bytes_are_lower_case_hex_of_their_length_and_nothing_else(proof: RecordProof, at: _Path, text: str) -> None:
    wrong = [text.upper().replace("0X", "0x"), text[:-2] + "gg", text[:-1], " " + text, text[:2] + " " + text[2:]]
    wrong += [text[2:] if text.startswith("0x") else "0x" + text]
    if text.startswith("0x"):
        wrong += ["0X" + text[2:]]
    if at != ("record", "payload"):
        wrong += [text[:-2], text + "00"]
    for value in wrong:
        if value != text:
            with pytest.raises(DecodingError):
                parse_record_proof(changed(proof, at, value))


def test_checkpoint_without_records_raises_decoding_error() -> None:
    with pytest.raises(DecodingError):
        parse_record_proof(changed(PERIODIC, ("checkpoint", "records"), []))


def test_checkpoint_beside_a_signature_raises_decoding_error() -> None:
    evidence: Any = PERIODIC.to_json()["checkpoint"]
    with pytest.raises(DecodingError):
        parse_record_proof(changed(SIGNED, ("checkpoint",), evidence))


def test_record_of_a_period_with_a_part_too_many_raises_decoding_error() -> None:
    with pytest.raises(DecodingError):
        parse_record_proof(changed(PERIODIC, ("checkpoint", "records", 0), [MASTER.hex(), 2, "00" * 32, 0]))


@pytest.mark.parametrize("form", ["vgroup record proof 2", "", 1, None])
def test_other_format_raises_decoding_error(form: object) -> None:
    with pytest.raises(DecodingError):
        parse_record_proof(changed(SIGNED, ("format",), form))


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"null", b"[]", b"1", b'"text"', b"{", b"{}", to_text(SIGNED).encode("utf-16"), b"[" * 33]
)
def test_text_that_is_no_proof_raises_decoding_error(raw: bytes) -> None:
    with pytest.raises(DecodingError):
        parse_record_proof(raw)


def test_text_is_read_up_to_its_bound_and_no_further() -> None:
    text = to_text(SIGNED).encode().ljust(PROOF_MAX_BYTES)
    assert parse_record_proof(text) == SIGNED
    with pytest.raises(DecodingError):
        parse_record_proof(text + b" ")


def test_bound_is_above_a_checkpoint_over_the_most_records_of_one_anchor() -> None:
    record = PeriodRecord(ObjectId(b"\xff" * 16), (1 << 64) - 1, b"\xff" * 32)
    text = to_text(with_evidence(CHECKPOINT, (record,) * 65_536)).encode()
    assert len(text) < PROOF_MAX_BYTES == 16 * 1024 * 1024


def test_brackets_do_not_end_a_process_with_the_recursion_limit_of_py_evm() -> None:
    code = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from group_protocol.errors import DecodingError\n"
        "from group_protocol.record_proofs import parse_record_proof\n"
        "try: parse_record_proof(b'[' * 250_000)\n"
        "except DecodingError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout == "refused\n", done
