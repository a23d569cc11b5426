import json

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.encoding import b64encode, u64
from group_protocol.errors import DecodingError, VerificationError
from group_protocol.identifiers import Address, GroupId
from group_protocol.limits import HANDSHAKE_BODY_MAX_BYTES
from group_protocol.ports import RegistryIdentity
from group_protocol.succession import CHANGES_MAX, MasterChange, Succession, SuccessionRequest, changes_after
from group_protocol.typed_data import TypedDataDomain

IDENTITY = RegistryIdentity(1337, Address(b"\x0c" * 20))
DOMAIN = TypedDataDomain(IDENTITY)
GID = GroupId(b"\x60" * 16)
DEADLINE = 1_800_000_000


def key(number: int) -> PrivateKey:
    return PrivateKey.from_secret(number.to_bytes(32, "big"))


def change(old: int, new: int, *, gid: GroupId = GID, domain: TypedDataDomain = DOMAIN) -> MasterChange:
    digest = domain.master_rotation_digest(gid, key(new).address, DEADLINE)
    return MasterChange(key(new).address, DEADLINE, key(old).sign_digest(digest), key(new).sign_digest(digest))


def succession(*changes: MasterChange) -> Succession:
    return Succession(GID, IDENTITY, changes)


def test_change_has_its_documented_layout_of_156_bytes() -> None:
    it = change(1, 2)
    assert it.encode() == key(2).address + u64(DEADLINE) + it.by_old + it.by_new
    assert len(it.encode()) == 156


def test_succession_leads_from_the_pinned_master_over_each_change_to_the_newest() -> None:
    told = succession(change(1, 2), change(2, 3), change(3, 4))
    assert told.verify(key(1).address) == key(4).address


def test_succession_survives_its_body_and_the_longest_fits_one() -> None:
    longest = succession(*(change(number, number + 1) for number in range(1, CHANGES_MAX + 1)))
    body = longest.to_body()
    assert len(body) <= HANDSHAKE_BODY_MAX_BYTES
    assert Succession.from_body(body) == longest
    shortest = succession(change(1, 2))
    assert Succession.from_body(shortest.to_body()) == shortest
    request = SuccessionRequest(key(1).address)
    assert SuccessionRequest.from_body(request.to_body()) == request


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param((change(9, 2),), id="signed by a stranger in the place of the old key"),
        pytest.param((change(1, 2, gid=GroupId(b"\x61" * 16)),), id="of another group"),
        pytest.param((change(1, 2, domain=TypedDataDomain(RegistryIdentity(1, IDENTITY.contract))),), id="chain"),
        pytest.param((change(2, 3),), id="without the change before it"),
        pytest.param((change(1, 2), change(9, 3)), id="whose second step a stranger signed"),
        pytest.param((change(1, 2), change(2, 1)), id="that leads back"),
        pytest.param((change(1, 2), change(2, 3), change(3, 2)), id="that leads back to a key in between"),
        pytest.param((change(1, 1),), id="to the same key"),
    ],
)
def test_succession_that_is_not_the_pinned_masters_raises_verification_error(forged: tuple[MasterChange, ...]) -> None:
    with pytest.raises(VerificationError):
        succession(*forged).verify(key(1).address)


def test_succession_that_the_new_key_did_not_sign_raises_verification_error() -> None:
    good = change(1, 2)
    with pytest.raises(VerificationError):
        succession(MasterChange(good.new_address, DEADLINE, good.by_old, good.by_old)).verify(key(1).address)


def test_rotation_of_a_device_is_no_succession() -> None:
    """A stolen device's key signs ``Rotation`` all day; its type and its fields are others."""
    digest = DOMAIN.rotation_digest(GID, key(5).address[-16:], key(2).address, DEADLINE)  # type: ignore[arg-type]
    forged = MasterChange(key(2).address, DEADLINE, key(5).sign_digest(digest), key(2).sign_digest(digest))
    with pytest.raises(VerificationError):
        succession(forged).verify(key(5).address)


def test_body_with_a_wrong_length_of_changes_raises_decoding_error() -> None:
    body = succession(change(1, 2)).to_body()
    for wrong in (b'"changes":""', b'"changes":"AAAA"'):
        start = body.index(b'"changes"')
        with pytest.raises(DecodingError):
            Succession.from_body(body[:start] + wrong + b"}")


@pytest.mark.parametrize(("field", "length_bytes"), [("gid", 16), ("chain", 8), ("contract", 20)])
def test_field_of_another_length_raises_decoding_error(field: str, length_bytes: int) -> None:
    fields = json.loads(succession(change(1, 2)).to_body())
    for length in (0, length_bytes - 1, length_bytes + 1):
        with pytest.raises(DecodingError):
            Succession.from_body(json.dumps(fields | {field: b64encode(bytes(length))}).encode())


def test_request_for_a_master_of_another_length_raises_decoding_error() -> None:
    for length in (0, 19, 21):
        with pytest.raises(DecodingError):
            SuccessionRequest.from_body(json.dumps({"v": 1, "master": b64encode(bytes(length))}).encode())


def test_changes_after_an_address_begin_with_it_and_are_at_most_32() -> None:
    every = [(key(number).address, change(number, number + 1)) for number in range(1, 41)]
    assert changes_after(every, key(39).address) == (every[38][1], every[39][1])
    assert len(changes_after(every, key(1).address)) == CHANGES_MAX
    assert changes_after(every, key(41).address) == ()
