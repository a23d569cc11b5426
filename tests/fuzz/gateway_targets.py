"""What travels between a gateway's service and its callers: bodies both ways, and the headers of a signed request."""

from contextlib import suppress
from typing import Final

from chain_gateway.node_answers import Block
from chain_gateway.remote.signing import RequestProof
from chain_gateway.remote.wire import (
    ACTS,
    EVENTS,
    decode,
    decode_error,
    decode_log,
    decode_receipt,
    dump,
    encode,
    encode_log,
    encode_receipt,
    parse_object,
)
from group_protocol.errors import DecodingError, VerificationError
from group_protocol.membership import GroupView, ObjectView
from group_protocol.ports import RegistryIdentity
from tests.support.contract_logs import CONTRACT

_KINDS: Final = (*ACTS.values(), *EVENTS.values(), GroupView, ObjectView, Block, RegistryIdentity)


def fuzz_gateway_bodies(raw: bytes) -> None:
    """A body; each decoder is offered it, whatever was asked. What is taken comes back the same."""
    try:
        parsed = parse_object(raw)
    except DecodingError:
        return
    for kind in _KINDS:
        with suppress(DecodingError):
            taken: object = decode(kind, parsed)
            assert parse_object(dump(encode(taken))) == parsed
    with suppress(DecodingError):
        assert encode_receipt(decode_receipt(parsed)) == parsed
    with suppress(DecodingError):
        assert encode_log(decode_log(CONTRACT, parsed)) == parsed
    with suppress(DecodingError):
        error = decode_error(parsed)
        assert len(str(error)) <= 300
        assert str(error).isprintable()


def fuzz_gateway_headers(raw: bytes) -> None:
    """Session, number and signature, a line each."""
    lines = raw.decode("latin-1").split("\n")
    try:
        proof = RequestProof.parse(*(lines[index] if index < len(lines) else None for index in range(3)))
    except DecodingError:
        return
    assert RequestProof.parse(*proof.to_headers().values()) == proof
    with suppress(VerificationError):
        assert len(proof.recover_caller("GET", "/", b"")) == 20
