"""Keccak-256 as Ethereum uses it (the original Keccak padding, not FIPS 202's SHA3-256)."""

from collections.abc import Callable

from eth_hash.main import Keccak256


def _fastest() -> Callable[[bytes], bytes]:
    # pysha3 takes 1.7 µs for an EIP-712 struct, pycryptodome 5.7 µs; a signed record needs two. pysha3 is a C extension
    # that not every platform has; pycryptodome has wheels everywhere and is always installed.
    try:
        from eth_hash.backends import pysha3  # noqa: PLC0415 - whether it is there shows when importing
    except ImportError:
        from eth_hash.backends import pycryptodome  # noqa: PLC0415

        return Keccak256(pycryptodome.backend)
    return Keccak256(pysha3.backend)


_keccak = _fastest()


def keccak256(message: bytes) -> bytes:
    """32 bytes."""
    return _keccak(message)
