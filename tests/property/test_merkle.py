"""The tree against a second one, written straight from RFC 6962's own recursive definition."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from group_protocol.errors import LocalProtocolError, VerificationError
from group_protocol.merkle import compute_path, compute_root, compute_root_from_path, hash_leaf

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def mth(entries: list[bytes]) -> bytes:
    """MTH of §2.1."""
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = largest_power_below(len(entries))
    return hashlib.sha256(b"\x01" + mth(entries[:split]) + mth(entries[split:])).digest()


def path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH of §2.1.1."""
    if len(entries) == 1:
        return []
    split = largest_power_below(len(entries))
    if m < split:
        return [*path(m, entries[:split]), mth(entries[split:])]
    return [*path(m - split, entries[split:]), mth(entries[:split])]


def largest_power_below(number: int) -> int:
    power = 1
    while power * 2 < number:
        power *= 2
    return power


@given(LEAVES)
def test_root_is_that_of_the_rfcs_definition(entries: list[bytes]) -> None:
    assert compute_root([hash_leaf(entry) for entry in entries]) == mth(entries)


@given(LEAVES, st.data())
def test_path_is_that_of_the_rfcs_definition_and_leads_to_the_root(entries: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(entries) - 1))
    leaves = [hash_leaf(entry) for entry in entries]
    found = compute_path(leaves, index)
    assert found == path(index, entries)
    assert compute_root_from_path(leaves[index], index, len(leaves), found) == mth(entries)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40, unique=True), st.data())
def test_no_other_leaf_place_or_path_leads_to_the_root(entries: list[bytes], data: st.DataObject) -> None:
    leaves = [hash_leaf(entry) for entry in entries]
    root, index = compute_root(leaves), data.draw(st.integers(0, len(leaves) - 1))
    found = compute_path(leaves, index)
    wrong = [(hash_leaf(b"something else"), index, found)]
    wrong += [(leaves[index], other, found) for other in range(len(leaves)) if other != index]
    wrong += [(leaves[index], index, found[:at] + found[at + 1 :]) for at in range(len(found))]
    wrong += [(leaves[index], index, [*found, bytes(32)])]
    wrong += [(leaves[index], index, [*found[:at], bytes(32), *found[at + 1 :]]) for at in range(len(found))]
    for leaf, place, neighbours in wrong:
        try:
            assert compute_root_from_path(leaf, place, len(leaves), neighbours) != root
        except VerificationError:
            continue


@given(LEAVES)
def test_a_node_is_no_leaf(entries: list[bytes]) -> None:
    """Two hashes side by side, shown as the content of a leaf, give another hash than their node."""
    left, right = mth(entries), mth([*entries, b""])
    assert hash_leaf(left + right) != compute_root([left, right])


def test_known_answers_of_certificate_transparency() -> None:
    """The roots over 1, 2, 3 … 8 entries that the reference implementation of RFC 6962 is tested with."""
    entries = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    }
    for size, root in roots.items():
        assert compute_root([hash_leaf(entry) for entry in entries[:size]]).hex() == root


def test_tree_without_leaves_and_leaf_outside_are_errors() -> None:
    with pytest.raises(LocalProtocolError):
        compute_root([])
    with pytest.raises(LocalProtocolError):
        compute_path([bytes(32)], 1)
    with pytest.raises(VerificationError):
        compute_root_from_path(bytes(32), 1, 1, [])
