"""How a caller of the gateway's service says who it is (``docs/gateway.md``, ``docs/adr/0020-gateway-callers.md``).

Each request is signed with the caller's secp256k1 key over what it asks for, the session that the service opened, and a
number that is never used twice in that session. No clock is asked: a recorded request is refused because its number was
used, and in every other session because its session is another.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from group_protocol.crypto.keys import PrivateKey, recover_address
from group_protocol.encoding import b64decode, b64encode, lp, u64
from group_protocol.errors import DecodingError
from group_protocol.identifiers import SIGNATURE_BYTES, Address

SESSION_HEADER: Final = "Vgroup-Session"
NUMBER_HEADER: Final = "Vgroup-Number"
SIGNATURE_HEADER: Final = "Vgroup-Signature"

SESSION_BYTES: Final = 32
NUMBER_LIMIT: Final = 1 << 53
"""Exact in every JSON implementation."""
_LABEL: Final = b"vgroup/1 gateway request"


@dataclass(frozen=True, slots=True)
class RequestProof:
    """Who asks, and that it asks now.

    Attributes:
        session: 32 bytes that the service gave out.
        number: From 0; each once in a session.
        signature: 64 bytes over :func:`request_digest`.
    """

    session: bytes
    number: int
    signature: bytes

    def to_headers(self) -> dict[str, str]:
        """As it travels."""
        return {
            SESSION_HEADER: b64encode(self.session),
            NUMBER_HEADER: str(self.number),
            SIGNATURE_HEADER: b64encode(self.signature),
        }

    @classmethod
    def parse(cls, session: str | None, number: str | None, signature: str | None) -> "RequestProof":
        """The values of the three headers. Raises DecodingError."""
        if session is None or number is None or signature is None:
            raise DecodingError("the request is not signed")
        if not (number.isascii() and number.isdecimal() and len(number) <= 16 and int(number) < NUMBER_LIMIT):
            raise DecodingError("the request's number is none")
        proof = cls(b64decode(session), int(number), b64decode(signature))
        if len(proof.session) != SESSION_BYTES or len(proof.signature) != SIGNATURE_BYTES:
            raise DecodingError("the request's session or signature has another length")
        return proof

    def recover_caller(self, method: str, path: str, body: bytes) -> Address:
        """Who signed it. Raises VerificationError if nobody did."""
        digest = request_digest(self.session, self.number, method, path, body)
        return recover_address(digest, self.signature)


def sign_request(key: PrivateKey, session: bytes, number: int, method: str, path: str, body: bytes) -> RequestProof:
    """Sign one request; ``path`` with its query."""
    return RequestProof(session, number, key.sign_digest(request_digest(session, number, method, path, body)))


def request_digest(session: bytes, number: int, method: str, path: str, body: bytes) -> bytes:
    """32 bytes: SHA-256 over label, session, number, method, path with query, and the body's SHA-256.

    Each stands behind its length (``lp`` of ``docs/protocol.md`` §0).
    """
    fields = (session, u64(number), method.encode(), path.encode(), hashlib.sha256(body).digest())
    return hashlib.sha256(lp(_LABEL, *fields)).digest()
