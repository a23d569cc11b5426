"""``POST /data``: one sealed frame in, one sealed ACK out (``docs/protocol.md`` §5.2, §6)."""

import math
from dataclasses import replace

from group_protocol.channels import RepeatedRequest
from group_protocol.errors import BusyError, DecodingError, Reason
from group_protocol.frames import Ack, Items, SlaveFrame, decode_slave_frame, encode_frame
from group_protocol.messages import SealedAnswer, SealedRequest
from master_api.context import MasterContext
from master_api.record_intake import RecordIntake
from master_api.sessions import LiveSession


class DataRequests:
    """Takes frames by request and answer. A repeated request gets its stored answer and is not taken again."""

    def __init__(self, context: MasterContext, intake: RecordIntake) -> None:
        self._context = context
        self._intake = intake

    async def answer(self, request: SealedRequest) -> SealedAnswer:
        """Open, judge, commit, seal the ACK.

        Raises:
            RemoteProtocolError: No such session, a replay, or a unit that does not open.
            BusyError: The same request is being processed, or the device has to wait (``device_records_per_s``).
        """
        live = self._context.live.require(request.sid, self._context.clock.monotonic_s())
        opened = live.session.data.open_request(request)
        if isinstance(opened, RepeatedRequest):
            return opened.answer
        try:
            ack = await self._take(live, opened.plaintext)
            return live.session.data.seal_answer(opened.seq, encode_frame(ack))
        except BaseException:
            live.session.data.abandon_request(opened.seq)
            raise

    async def _take(self, live: LiveSession, plaintext: bytes) -> Ack:
        frame = _decode(plaintext)
        if not isinstance(frame, Items):
            return replace(self._intake.acknowledge(live), reason=Reason.MALFORMED)
        pace, now_s = self._intake.pace, self._context.clock.monotonic_s()
        if wait_s := pace.wait_s(live.oid, now_s):
            raise BusyError("the device sends faster than it may", retry_after_s=math.ceil(wait_s))
        pace.note(live.oid, len(frame.items), now_s)
        return await self._intake.take(live, frame)


def _decode(plaintext: bytes) -> SlaveFrame | None:
    try:
        return decode_slave_frame(plaintext)
    except DecodingError:
        return None
