"""The sealed request by which a slave changes its key (``docs/protocol.md`` §7.1). Its answer has the layout of M6."""

from dataclasses import dataclass

from group_protocol.crypto.keys import derive_address, parse_public_key
from group_protocol.encoding import Reader
from group_protocol.errors import DecodingError
from group_protocol.identifiers import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Address, Signature, parse_signature


@dataclass(frozen=True, slots=True)
class RotationCall:
    """Plaintext of ``POST /rotate``, sealed on the control channel of a session under the old key.

    Attributes:
        new_public_key: 65 bytes, uncompressed.
        deadline_unix_s: Latest block time at which the contract may take it.
        by_old: 64 bytes, the old key's signature over ``Rotation``.
        by_new: 64 bytes, the new key's signature over the same digest.
    """

    new_public_key: bytes
    deadline_unix_s: int
    by_old: Signature
    by_new: Signature

    @property
    def new_address(self) -> Address:
        """20 bytes: the address that the device will have."""
        return derive_address(self.new_public_key)

    def encode(self) -> bytes:
        """The 201 bytes of version 1, without extensions."""
        return self.new_public_key + self.deadline_unix_s.to_bytes(8, "big") + self.by_old + self.by_new

    @classmethod
    def decode(cls, plaintext: bytes) -> "RotationCall":
        """Read a plaintext.

        Raises:
            DecodingError: Wrong length, a key that is not an uncompressed point on the curve, or a critical extension.
        """
        reader = Reader(plaintext)
        raw_key = reader.take(PUBLIC_KEY_BYTES)
        public_key = parse_public_key(raw_key)
        if public_key != raw_key:
            raise DecodingError("the new public key is not in the uncompressed form")
        call = cls(
            public_key,
            reader.u64(),
            parse_signature(reader.take(SIGNATURE_BYTES)),
            parse_signature(reader.take(SIGNATURE_BYTES)),
        )
        reader.extensions()
        return call
