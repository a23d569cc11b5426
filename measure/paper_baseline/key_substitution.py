"""The man in the middle of /keysSession, for demonstrations against this baseline.

Neither RSA key is authenticated (Figures 9 and 10): who sits between puts a key of its own in the place of the slave's,
opens the session key, and wraps it again for the slave. Both ends then share a key with each other, and with it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from Crypto.PublicKey import RSA

from measure.paper_baseline.ciphers import (
    RandomBytes,
    SessionKey,
    decrypt,
    public_pem,
    read_public_pem,
    unwrap_session_key,
    wrap_session_key,
)
from measure.paper_baseline.errors import Reason, Refused
from measure.paper_baseline.http_form import ASSOCIATION_PATH, DATA_PATH, KEY_SESSION_PATH, TICKET_PATH
from measure.paper_baseline.messages import (
    AssociationRequest,
    DataMessage,
    KeySessionAnswer,
    KeySessionRequest,
    TicketAnswer,
)

Forward = Callable[[str, bytes], Awaitable[bytes]]
"""Passes a body on to the true master's path and returns its answer; `PaperClient.exchange` is one."""


def substitute_slave_key(request: bytes, attacker_key: RSA.RsaKey) -> bytes:
    """The /keysSession body (Figure 9) with the attacker's RSA key in it.

    Raises:
        MalformedMessage: `request` is something else.
    """
    return replace(KeySessionRequest.decode(request), slave_rsa_pem=public_pem(attacker_key)).encode()


def open_and_rewrap(
    answer: bytes, request: bytes, attacker_key: RSA.RsaKey, random_bytes: RandomBytes
) -> tuple[SessionKey, bytes]:
    """The session key of the master's answer (Figure 10), and the answer as the slave expects it.

    Args:
        answer: what the master sent for the substituted request.
        request: what the slave had sent.
        attacker_key: the key that was put in.
        random_bytes: for OAEP.

    Raises:
        MalformedMessage: one of the two is something else.
    """
    decoded = KeySessionAnswer.decode(answer)
    session = unwrap_session_key(decoded.encrypted_aes_key, attacker_key)
    slave_key = read_public_pem(KeySessionRequest.decode(request).slave_rsa_pem)
    wrapped = wrap_session_key(session, slave_key, random_bytes)
    return session, replace(decoded, encrypted_aes_key=wrapped).encode()


class ManInTheMiddle:
    """Stands in the master's place (`server.serve` takes it), passes everything on, and reads it.

    Args:
        forward: to the true master.
        rsa_key: the attacker's own.
        random_bytes: for OAEP.
    """

    def __init__(self, forward: Forward, rsa_key: RSA.RsaKey, random_bytes: RandomBytes) -> None:
        self.clear_texts: list[bytes] = []
        self._forward = forward
        self._rsa_key = rsa_key
        self._random_bytes = random_bytes
        self._session: SessionKey | None = None

    async def answer_key_session(self, body: bytes) -> bytes:
        """Share one session key with both ends."""
        answer = await self._forward(KEY_SESSION_PATH, substitute_slave_key(body, self._rsa_key))
        self._session, rewrapped = open_and_rewrap(answer, body, self._rsa_key, self._random_bytes)
        return rewrapped

    async def answer_ticket(self, body: bytes) -> bytes:
        """Read the ticket on its way to the slave."""
        answer = await self._forward(TICKET_PATH, body)
        self._read(TicketAnswer.decode(answer).encrypted)
        return answer

    async def answer_association(self, body: bytes) -> bytes:
        """Read the signed ticket on its way to the master."""
        self._read(AssociationRequest.decode(body).encrypted)
        return await self._forward(ASSOCIATION_PATH, body)

    async def answer_data(self, body: bytes) -> bytes:
        """Read a reading on its way to the master."""
        self._read(DataMessage.decode(body).encrypted)
        return await self._forward(DATA_PATH, body)

    def _read(self, encrypted: bytes) -> None:
        if self._session is None:
            raise Refused(Reason.NO_SESSION)
        self.clear_texts.append(decrypt(self._session, encrypted))
