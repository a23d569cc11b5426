"""M1 to M4 over HTTP: a handshake's messages to the master and back, and what each refusal means (§3)."""

from group_protocol.errors import UnknownExtensionError
from group_protocol.handshake.slave import SlaveHandshake
from group_protocol.messages import CookieChallenge, SealedAnswer, parse_keys_session_answer
from group_protocol.tickets import Ticket
from slave_client.errors import MasterRefusalError, NotAdmittedError
from slave_client.transport import Transport

_NOT_ADMITTED = "Look on the master whether it knows the device: vgroup device list."
_UPGRADE = "The master is newer and asks for it: upgrade this device (docs/operations.md, Upgrade)."
_UNKNOWN_HERE = (
    "It may have been put back from a backup that is older than this device: vgroup device invite NAME there, and "
    "vgroup slave join STRING here. The device keeps its id and its readings."
)


async def fetch_ticket(transport: Transport, handshake: SlaveHandshake, *, is_enrolled: bool) -> Ticket:
    """The ticket for which the handshake was begun; its session stands then.

    Args:
        transport: To the master, or to whoever answers in its place.
        handshake: A new one.
        is_enrolled: Whether the device has had a ticket before, and so is known where its master is.

    Raises:
        NotAdmittedError: Whoever answered proved to be the master, and admits none with this key.
        TurnedAwayError: It knows us, and says why it does not let us in.
        MasterRefusalError: A refusal from somebody who had not proved to be the master.
        UnknownMasterError: Somebody answered who is not the master.
        UnknownExtensionError: It asks for what this version does not know.
        RemoteProtocolError: It did not answer in the right way.
        MasterUnreachableError, BusyError: As they say.
    """
    answer = parse_keys_session_answer(await transport.post("/keysSession", handshake.start().to_body()))
    following = handshake.receive_keys_session(answer)
    if isinstance(answer, CookieChallenge):
        answer = parse_keys_session_answer(await transport.post("/keysSession", following.to_body()))
        following = handshake.receive_keys_session(answer)
    try:
        body = await transport.post_twice("/getTicket", following.to_body())
    except MasterRefusalError as exc:
        if is_enrolled:
            raise NotAdmittedError("the master does not know this device", remedy=_UNKNOWN_HERE) from exc
        raise NotAdmittedError("the master does not admit this device", remedy=_NOT_ADMITTED) from exc
    try:
        return handshake.receive_ticket(SealedAnswer.from_body(body))
    except UnknownExtensionError as exc:
        raise UnknownExtensionError(exc.extension_type, remedy=_UPGRADE) from exc
