"""Elliptic curve keys, identifiers and tokens, as section 4.2 b.2 has them.

Curve: the paper says ECDSA on an Ethereum chain and shows a key (Figure 11) that is a secp256k1 point.
"""

from coincurve import PrivateKey, PublicKey
from coincurve.ecdsa import cdata_to_der, deserialize_compact
from Crypto.Hash import keccak

PUBLIC_KEY_BYTES = 65
"""Uncompressed point with its 04: `objectPubKey` in Figure 11 is 130 hex digits."""

ADDRESS_BYTES = 20
OBJECT_ID_BYTES = 2
"""`oid` in Figures 9, 11 and 13 is four hex digits."""

GROUP_ID_BYTES = 10
"""Assumed: the paper gives no size. With ten, the ticket is most often as long as the captured one."""

TOKEN_BYTES = 64
"""Section 4.2 b.2, "a lightweight certificate of 64 bytes": r ‖ s, which alone fills them."""


def keccak256(message: bytes) -> bytes:
    """The Keccak of section 4.2 b.2 (32 bytes), with Ethereum's padding."""
    return keccak.new(digest_bits=256, data=message).digest()


def derive_address(public_key: bytes) -> bytes:
    """The FIRST 20 bytes of Keccak(public key), as section 4.2 b.2 says; Ethereum's address is the last 20.

    Assumed: the hash is over the 64 bytes after the 04, as everywhere in Ethereum.
    """
    return keccak256(public_key[1:])[:ADDRESS_BYTES]


def derive_object_id(public_key: bytes) -> bytes:
    """The last two bytes of the public key: in Figure 11, oid 9d9c stands beside a key that ends in 9d9c."""
    return public_key[-OBJECT_ID_BYTES:]


def sign(private_key: PrivateKey, message: bytes) -> bytes:
    """ECDSA over Keccak(message), 64 bytes r ‖ s, with the deterministic nonce of RFC 6979."""
    return private_key.sign_recoverable(message, hasher=keccak256)[:TOKEN_BYTES]


def is_signature(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (64 bytes r ‖ s) over Keccak(message) was made with the key of `public_key`."""
    try:
        der = cdata_to_der(deserialize_compact(signature))
        return PublicKey(public_key).verify(der, message, hasher=keccak256)
    except ValueError:  # no point of the curve, or no signature at all
        return False


def token_message(group_id: bytes, object_id: bytes, address: bytes) -> bytes:
    """What the token signs: "the concatenation of the groupID, the objectID, and the publicAddr" (4.2 b.2).

    Nothing in it says that it is a token, for which chain, or until when.
    """
    return group_id + object_id + address


def association_message(group_id: bytes, object_id: bytes, address: bytes, token: bytes) -> bytes:
    """What the slave signs when it associates (4.2 b.4 i).

    The paper has "the token and device slave private key are signed", meant as: the token, with the private key.
    """
    return token_message(group_id, object_id, address) + token


def exchange_message(reading: bytes, group_id: bytes, object_id: bytes) -> bytes:
    """What 4.2 b.4 iv signs: "The data, Gid, Oid", in this order; no sequence number and no receiver among them."""
    return reading + group_id + object_id
