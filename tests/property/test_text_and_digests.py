import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from group_protocol.errors import ConfigurationError
from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.pairing import PairingString, parse_pairing_string
from group_protocol.ports import RegistryIdentity
from group_protocol.tokens import token_digest
from group_protocol.typed_data import TypedDataDomain

ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z0-9]{1,10}){0,3}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.integers(0, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number))),
)
PAIRINGS = st.builds(PairingString, ADDRESSES, st.binary(min_size=16, max_size=16), HOSTS, st.integers(1, 65_535))
U64 = st.integers(0, 2**64 - 1)
SIXTEEN = st.binary(min_size=16, max_size=16)
DOMAIN = TypedDataDomain(RegistryIdentity(1, Address(bytes(20))))


@given(PAIRINGS)
def test_pairing_string_survives_its_text_in_either_case(pairing: PairingString) -> None:
    assert parse_pairing_string(pairing.to_text()) == pairing
    assert parse_pairing_string(f" {pairing.to_text().upper()}\n") == pairing


@given(st.text(max_size=120))
def test_any_text_is_refused_with_a_remedy(text: str) -> None:
    for typed in (text, "vg1-" + text, "vg1-" + text + "@host:3000"):
        with pytest.raises(ConfigurationError) as caught:
            parse_pairing_string(typed)
        assert caught.value.remedy


@given(PAIRINGS, st.text(max_size=30))
def test_any_host_is_refused_or_comes_back_in_the_text(pairing: PairingString, endpoint: str) -> None:
    text = pairing.to_text().split("@")[0] + "@" + endpoint
    try:
        parsed = parse_pairing_string(text)
    except ConfigurationError:
        return
    assert parse_pairing_string(parsed.to_text()) == parsed


@given(SIXTEEN, SIXTEEN, SIXTEEN, st.binary(min_size=32, max_size=32), U64, U64)
def test_exchange_digest_of_swapped_numbers_or_ids_differs(
    gid: bytes, sender: bytes, receiver: bytes, payload_hash: bytes, seq: int, epoch: int
) -> None:
    group, first, second = GroupId(gid), ObjectId(sender), ObjectId(receiver)
    digest = DOMAIN.exchange_digest(group, first, second, payload_hash, seq, epoch)
    assert len(digest) == 32
    swapped_numbers = DOMAIN.exchange_digest(group, first, second, payload_hash, epoch, seq)
    swapped_ids = DOMAIN.exchange_digest(group, second, first, payload_hash, seq, epoch)
    assert (digest == swapped_numbers) == (seq == epoch)
    assert (digest == swapped_ids) == (sender == receiver)


@given(SIXTEEN, SIXTEEN, ADDRESSES, SIXTEEN, SIXTEEN, ADDRESSES)
def test_token_digests_are_equal_only_for_equal_claims(
    gid: bytes, oid: bytes, address: Address, other_gid: bytes, other_oid: bytes, other_address: Address
) -> None:
    digest = token_digest(GroupId(gid), ObjectId(oid), address)
    other = token_digest(GroupId(other_gid), ObjectId(other_oid), other_address)
    assert (digest == other) == ((gid, oid, address) == (other_gid, other_oid, other_address))
