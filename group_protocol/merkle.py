"""Merkle trees as in RFC 6962 §2.1, with SHA-256 (``docs/protocol.md`` §10).

A leaf's hash begins with 0x00 and a node's with 0x01, so that no node can be shown as a leaf. The tree over n leaves
splits at the largest power of two below n. Built level by level, with a last node that has no neighbour carried up as
it is, it is the same tree.
"""

from collections.abc import Sequence
from typing import Final

from group_protocol.crypto.kdf import sha256
from group_protocol.errors import LocalProtocolError, VerificationError

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def hash_leaf(content: bytes) -> bytes:
    """The hash of a leaf, 32 bytes."""
    return sha256(_LEAF + content)


def compute_root(leaves: Sequence[bytes]) -> bytes:
    """The root over the hashes of the leaves, 32 bytes.

    Raises:
        LocalProtocolError: There is no leaf.
    """
    _require_leaf(leaves)
    level = list(leaves)
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def compute_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The neighbours on the way from one leaf to the root, the lowest first.

    Raises:
        LocalProtocolError: There is no such leaf.
    """
    _require_leaf(leaves)
    if not 0 <= index < len(leaves):
        raise LocalProtocolError(f"there is no leaf {index} among {len(leaves)}")
    level, path = list(leaves), []
    while len(level) > 1:
        neighbour = index ^ 1
        if neighbour < len(level):
            path.append(level[neighbour])
        level, index = _next_level(level), index >> 1
    return path


def compute_root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root to which a leaf and its path lead, in a tree of ``size`` leaves (RFC 9162 §2.1.3.2).

    Raises:
        VerificationError: The path has another length than such a leaf's, or there is no such leaf.
    """
    if not 0 <= index < size:
        raise VerificationError(f"a tree of {size} leaves has no leaf {index}")
    node, last, left = leaf, size - 1, list(path)
    while last:
        if index % 2 or index < last:
            if not left:
                raise VerificationError("the path is too short")
            neighbour = left.pop(0)
            node = sha256(_NODE + (neighbour + node if index % 2 else node + neighbour))
        index, last = index >> 1, last >> 1
    if left:
        raise VerificationError("the path is too long")
    return node


def _next_level(level: list[bytes]) -> list[bytes]:
    nodes = [sha256(_NODE + level[at] + level[at + 1]) for at in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        nodes.append(level[-1])
    return nodes


def _require_leaf(leaves: Sequence[bytes]) -> None:
    if not leaves:
        raise LocalProtocolError("a tree needs a leaf")
