"""What is handed to somebody who checks a record without its master."""

import json
from contextlib import suppress

from group_protocol.errors import DecodingError, VerificationError
from group_protocol.record_proofs import parse_record_proof


def fuzz_record_proofs(raw: bytes) -> None:
    """A proof file, and whether it says anything else once it was written again."""
    try:
        proof = parse_record_proof(raw)
    except DecodingError:
        return
    with suppress(VerificationError):
        proof.verify_anchored()
    assert parse_record_proof(json.dumps(proof.to_json()).encode()) == proof
