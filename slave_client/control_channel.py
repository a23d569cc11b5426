"""The control channel of a session: one sealed request at a time over HTTP (``docs/protocol.md`` §4)."""

from group_protocol.channels import SlaveSession
from group_protocol.messages import SealedAnswer
from slave_client.transport import Transport


async def ask_on_control(transport: Transport, session: SlaveSession, path: str, plaintext: bytes) -> bytes:
    """Send one sealed request on the control channel and open its answer.

    Raises:
        MasterRefusalError, MasterUnreachableError, BusyError, VerificationError: As they say.
    """
    request = session.control.seal_request(plaintext)
    body = await transport.post_twice(path, request.to_body())
    return session.control.open_answer(request.seq, SealedAnswer.from_body(body))
