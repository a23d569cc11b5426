"""Algorithms 1 and 3, rule by rule."""

from dataclasses import replace

import pytest
from coincurve import PrivateKey

from measure.paper_baseline.errors import Reason, Refused
from measure.paper_baseline.register import Candidate, Exchange, InMemoryRegister, Role
from measure.paper_baseline.signatures import (
    association_message,
    derive_address,
    derive_object_id,
    exchange_message,
    sign,
    token_message,
)

GROUP = b"group-0001"
OTHER_GROUP = b"group-0002"
MASTER_KEY = PrivateKey(b"\x01" * 32)
SLAVE_KEY = PrivateKey(b"\x02" * 32)
STRANGER_KEY = PrivateKey(b"\x03" * 32)


def public_key(key: PrivateKey) -> bytes:
    return key.public_key.format(compressed=False)


def master_candidate(key: PrivateKey = MASTER_KEY, group_id: bytes = GROUP) -> Candidate:
    public = public_key(key)
    return Candidate(Role.MASTER, group_id, derive_object_id(public), derive_address(public), public)


def slave_candidate(
    key: PrivateKey = SLAVE_KEY,
    *,
    group_id: bytes = GROUP,
    token_key: PrivateKey = MASTER_KEY,
    request_key: PrivateKey | None = None,
) -> Candidate:
    public = public_key(key)
    claims = (group_id, derive_object_id(public), derive_address(public))
    token = sign(token_key, token_message(*claims))
    request = sign(request_key or key, association_message(*claims, token))
    return Candidate(Role.SLAVE, *claims, public, token, request)


@pytest.fixture
async def register() -> InMemoryRegister:
    register = InMemoryRegister()
    await register.associate(master_candidate())
    return register


async def refusal(register: InMemoryRegister, candidate: Candidate) -> Reason:
    with pytest.raises(Refused) as caught:
        await register.associate(candidate)
    return caught.value.reason


async def test_slave_with_the_masters_token_becomes_a_member(register: InMemoryRegister) -> None:
    slave = slave_candidate()

    await register.associate(slave)

    await register.check_membership(GROUP, slave.object_id)


async def test_object_id_in_use_is_refused(register: InMemoryRegister) -> None:
    await register.associate(slave_candidate())
    other = replace(slave_candidate(STRANGER_KEY), object_id=slave_candidate().object_id)

    assert await refusal(register, other) is Reason.OBJECT_ID_IN_USE


async def test_address_in_use_is_refused(register: InMemoryRegister) -> None:
    await register.associate(slave_candidate())

    assert await refusal(register, replace(slave_candidate(), object_id=b"\0\0")) is Reason.ADDRESS_IN_USE


async def test_group_id_in_use_is_refused_to_a_second_master(register: InMemoryRegister) -> None:
    assert await refusal(register, master_candidate(STRANGER_KEY)) is Reason.GROUP_ID_IN_USE


async def test_slave_of_an_unknown_group_is_refused(register: InMemoryRegister) -> None:
    assert await refusal(register, slave_candidate(group_id=OTHER_GROUP)) is Reason.UNKNOWN_GROUP


async def test_token_of_another_signer_is_refused(register: InMemoryRegister) -> None:
    assert await refusal(register, slave_candidate(token_key=STRANGER_KEY)) is Reason.TOKEN_INVALID


async def test_token_of_zeros_is_refused(register: InMemoryRegister) -> None:
    assert await refusal(register, replace(slave_candidate(), token=bytes(64))) is Reason.TOKEN_INVALID


async def test_stolen_token_without_the_slaves_key_is_refused(register: InMemoryRegister) -> None:
    assert await refusal(register, slave_candidate(request_key=STRANGER_KEY)) is Reason.SIGNATURE_INVALID


async def test_public_key_that_is_not_the_address_is_refused(register: InMemoryRegister) -> None:
    slave = slave_candidate(request_key=STRANGER_KEY)

    assert await refusal(register, replace(slave, public_key=public_key(STRANGER_KEY))) is Reason.SIGNATURE_INVALID


async def test_public_key_that_is_no_point_is_refused(register: InMemoryRegister) -> None:
    no_point = b"\x04" + b"\xff" * 64
    slave = slave_candidate()
    claims = (GROUP, slave.object_id, derive_address(no_point))
    candidate = Candidate(
        Role.SLAVE, *claims, no_point, sign(MASTER_KEY, token_message(*claims)), slave.request_signature
    )

    assert await refusal(register, candidate) is Reason.SIGNATURE_INVALID


async def test_refused_slave_leaves_nothing_behind(register: InMemoryRegister) -> None:
    await refusal(register, slave_candidate(token_key=STRANGER_KEY))

    await register.associate(slave_candidate())


async def test_membership_of_an_unknown_object_is_refused(register: InMemoryRegister) -> None:
    with pytest.raises(Refused, match="no such object"):
        await register.check_membership(GROUP, b"\0\0")


async def test_membership_in_another_group_is_refused(register: InMemoryRegister) -> None:
    await register.associate(master_candidate(STRANGER_KEY, OTHER_GROUP))

    with pytest.raises(Refused, match="not in this group"):
        await register.check_membership(OTHER_GROUP, master_candidate().object_id)


def signed_exchange(key: PrivateKey) -> Exchange:
    sender = slave_candidate().object_id
    signature = sign(key, exchange_message(b"72", GROUP, sender))
    return Exchange(GROUP, sender, master_candidate().object_id, b"72", signature)


async def test_exchange_signed_by_its_sender_is_accepted(register: InMemoryRegister) -> None:
    await register.associate(slave_candidate())

    await register.check_exchange(signed_exchange(SLAVE_KEY))


async def test_exchange_signed_by_another_is_refused(register: InMemoryRegister) -> None:
    await register.associate(slave_candidate())

    with pytest.raises(Refused, match="not the sender's"):
        await register.check_exchange(signed_exchange(STRANGER_KEY))


@pytest.mark.parametrize("end", ["sender_id", "receiver_id"])
async def test_exchange_with_an_unknown_end_is_refused(register: InMemoryRegister, end: str) -> None:
    await register.associate(slave_candidate())
    exchange = signed_exchange(SLAVE_KEY)
    unknown = {"sender_id": exchange.sender_id, "receiver_id": exchange.receiver_id, end: b"\0\0"}

    with pytest.raises(Refused, match="no such object"):
        await register.check_exchange(Exchange(GROUP, reading=b"72", signature=exchange.signature, **unknown))
