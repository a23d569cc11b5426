"""Requests become calldata, or a local error; nothing is padded or cut in silence."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chain_gateway.acts import BATCH_GAS_LIMIT, BATCH_ITEM_GAS_LIMIT, GAS_LIMITS, ActEncoder
from chain_gateway.contract_abi import ContractAbi
from contracts import load_artifact
from group_protocol.errors import LocalProtocolError
from group_protocol.identifiers import Address, GroupId, ObjectId, Signature, Token
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from group_protocol.ports import (
    AnchorRequest,
    AssociationRequest,
    CreateGroupRequest,
    ExchangeProof,
    MasterRotationRequest,
    RevocationRequest,
    RotationRequest,
)

EIP_7825_GAS_LIMIT = 2**24
ENCODER = ActEncoder(ContractAbi.from_json(load_artifact().abi))
GID, OID, ADDRESS = GroupId(b"g" * 16), ObjectId(b"o" * 16), Address(b"a" * 20)
SIGNATURE, TOKEN, HASH = Signature(b"s" * 64), Token(b"t" * 64), b"h" * 32

REQUESTS: list[tuple[Callable[[Any], object], Any]] = [
    (ENCODER.create_group, CreateGroupRequest(HASH, ADDRESS, 1, SIGNATURE)),
    (ENCODER.associate, AssociationRequest(GID, TOKEN, SIGNATURE, 1)),
    (lambda request: ENCODER.associate_batch([request]), AssociationRequest(GID, TOKEN, SIGNATURE, 1)),
    (ENCODER.record_exchange, ExchangeProof(GID, OID, OID, HASH, 1, 1, SIGNATURE)),
    (ENCODER.verify_exchange, ExchangeProof(GID, OID, OID, HASH, 1, 1, SIGNATURE)),
    (ENCODER.anchor, AnchorRequest(GID, HASH, 1, 2, SIGNATURE)),
    (ENCODER.revoke, RevocationRequest(GID, OID, 1, SIGNATURE)),
    (ENCODER.rotate, RotationRequest(GID, OID, ADDRESS, 1, SIGNATURE, SIGNATURE)),
    (ENCODER.rotate_master, MasterRotationRequest(GID, ADDRESS, 1, SIGNATURE, SIGNATURE)),
]
FIELDS = [
    pytest.param(encode, request, name, id=f"{type(request).__name__}-{index}-{name}")
    for index, (encode, request) in enumerate(REQUESTS)
    for name in request.__slots__
]


def spoil(value: bytes | int) -> bytes | int:
    return 2**64 if isinstance(value, int) else value[:-1]


@pytest.mark.parametrize(("encode", "request_", "name"), FIELDS)
def test_field_of_wrong_width_is_a_local_error(encode: Callable[[Any], object], request_: Any, name: str) -> None:
    encode(request_)
    with pytest.raises(LocalProtocolError):
        encode(replace(request_, **{name: spoil(getattr(request_, name))}))


def test_every_limit_is_below_what_one_transaction_may_use() -> None:
    largest_batch = BATCH_GAS_LIMIT + BATCH_ITEM_GAS_LIMIT * ASSOCIATION_BATCH_MAX
    assert max(*GAS_LIMITS.values(), largest_batch) < EIP_7825_GAS_LIMIT
