"""What travels between a gateway's service and its callers: whole and once, or refused."""

import subprocess
import sys
from typing import Any

import pytest

from chain_gateway.node_answers import Block
from chain_gateway.remote.wire import (
    ACTS,
    decode,
    decode_error,
    decode_log,
    decode_receipt,
    dump,
    encode,
    encode_error,
    encode_log,
    encode_receipt,
    parse_object,
)
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import (
    ContractRefusal,
    DecodingError,
    LocalProtocolError,
    Reason,
    RegistryInconsistent,
    RegistryUnavailable,
    VirtualGroupError,
)
from group_protocol.identifiers import ObjectId
from group_protocol.membership import AssociationRefused, ChainPosition, Revoked
from group_protocol.ports import Receipt
from group_protocol.typed_data import TypedDataDomain
from tests.registry_suite.signers import Signers, oid_of
from tests.support.contract_logs import CONTRACT, make_log
from tests.support.fake_registry import FAKE_IDENTITY

SIGN = Signers(TypedDataDomain(FAKE_IDENTITY), 2_000_000_000)
GID = SIGN.gid_of("master")
AT = ChainPosition(7, 1, b"\x01" * 32, b"\x02" * 32)
REQUESTS = [
    SIGN.create_group("master"),
    SIGN.associate("a", GID, master="master"),
    SIGN.exchange(GID, oid_of("a"), oid_of("master"), signer="a"),
    SIGN.anchor(GID, signer="master"),
    SIGN.revoke(GID, oid_of("a"), signer="master"),
    SIGN.rotate(GID, oid_of("a"), old="a", new="b"),
    SIGN.rotate_master(GID, old="master", new="b"),
]


def travel(value: object) -> dict[str, Any]:
    return parse_object(dump(value))


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_request_comes_through(request_: object) -> None:
    assert type(request_) in ACTS.values()
    assert decode(type(request_), travel(encode(request_))) == request_


def test_every_act_is_tried() -> None:
    assert {type(request) for request in REQUESTS} == set(ACTS.values())


@pytest.mark.parametrize(
    "event", [Revoked(GID, ObjectId(b"o" * 16), 2**64 - 1, AT), AssociationRefused(GID, 3, Reason.TOKEN_REFUSED, AT)]
)
def test_receipt_comes_through(event: Revoked | AssociationRefused) -> None:
    assert decode_receipt(travel(encode_receipt(Receipt(event, 99)))) == Receipt(event, 99)


def test_block_and_log_come_through() -> None:
    block = Block(1, b"\x01" * 32, b"\x02" * 32, 3, None, 5)
    log = make_log("Revoked", gid=b"g" * 16, oid=b"o" * 16, epoch=2)
    assert decode(Block, travel(encode(block))) == block
    assert decode_log(CONTRACT, travel(encode_log(log))) == log


@pytest.mark.parametrize(
    "error",
    [
        ContractRefusal(Reason.TOKEN_REFUSED, "not yours", remedy="Ask."),
        RegistryUnavailable("away", remedy="Wait.", code=ErrorCode.TRANSACTION_NOT_FINAL),
        RegistryInconsistent("it lies"),
        LocalProtocolError("too long"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_comes_through_with_its_kind_reason_words_and_remedy(error: VirtualGroupError) -> None:
    told = decode_error(travel(encode_error(error)))
    assert (type(told), str(told), told.remedy, told.code) == (type(error), str(error), error.remedy, error.code)
    if isinstance(error, ContractRefusal):
        assert isinstance(told, ContractRefusal)
        assert told.reason is error.reason


def test_error_of_a_gateway_that_names_no_code_or_an_unknown_one_has_its_kinds_own() -> None:
    for named in ({}, {"explained_as": "no-such-code"}, {"explained_as": 7}):
        told = decode_error({"error": {"code": "unavailable", "message": "away", "remedy": "", **named}})
        assert told.code is ErrorCode.CHAIN_UNREACHABLE


def test_gateways_words_cannot_steer_a_terminal_or_fill_a_log() -> None:
    told = decode_error({"error": {"code": "unavailable", "message": "\x1b[2J\n" + "x" * 9_000, "remedy": ""}})
    assert str(told).startswith("?[2J?x")
    assert len(str(told)) == 300


GOOD = encode(SIGN.revoke(GID, oid_of("a"), signer="master"))


@pytest.mark.parametrize(
    "change",
    [
        {"gid": "AAAA"},
        {"gid": 3},
        {"gid": GOOD["gid"] + "="},
        {"deadline_unix_s": -1},
        {"deadline_unix_s": 2**64},
        {"deadline_unix_s": "7"},
        {"deadline_unix_s": True},
        {"deadline_unix_s": 7.0},
        {"more": 1},
    ],
    ids=str,
)
def test_request_with_a_field_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DecodingError):
        decode(ACTS["revoke"], GOOD | change)


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_request_without_a_field_is_refused(missing: str) -> None:
    with pytest.raises(DecodingError):
        decode(ACTS["revoke"], {name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"[" * 100_000, b'{"a":' * 100 + b"1" + b"}" * 100, b"\xff"])
def test_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(DecodingError):
        parse_object(body)


@pytest.mark.parametrize(
    "told", [{}, {"event": {}, "gas": 1}, {"event": {"kind": "Nothing"}, "gas": 1}, {"event": 1}, 7]
)
def test_receipt_that_is_none_is_refused(told: object) -> None:
    with pytest.raises(DecodingError):
        decode_receipt(told)


def test_master_with_a_remote_gateway_has_no_web3_and_no_evm_in_memory() -> None:
    program = (
        "import sys, master_api.composition, chain_gateway.remote.composition;"
        "print(sorted({'web3', 'eth', 'eth_account'} & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]", answer.stdout
