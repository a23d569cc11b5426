"""What is handed to somebody who checks a record without its master."""

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
    assert proof.to_json()["chain_id"] == proof.chain_id
