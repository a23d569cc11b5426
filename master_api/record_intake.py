"""Taking records in: the core's rules, then the store; the same for ``/data`` and ``/stream``.

Judging runs ahead of committing, so that many frames share one commit. That is safe because the store's writer works
in order, and because a failed write breaks the chain it belongs to: the writes behind it, which counted on it, fail
too, and the next frame begins again from what is really stored.
"""

import contextlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from group_protocol.device_state import DeviceState, StoredRecord
from group_protocol.errors import Reason, StoreError, UnexpectedMessageError
from group_protocol.frames import Ack, Items
from group_protocol.intake import Intake, Refusal, seqs_to_look_up, take_items
from group_protocol.ports import Clock, GroupRegistry
from group_protocol.records import Checkpoint, Item, SignedRecord
from group_protocol.tickets import SessionTerms
from master_api.current_group import CurrentGroup
from master_api.intake_counts import IntakeCounts
from master_api.peer_post import FrameQuota, PeerPost
from master_api.record_pace import RecordPace
from master_api.session_rules import SessionRulesMaker
from master_api.sessions import LiveSession
from master_api.signature_checks import SIGNATURES_CHECKED_INLINE_MAX, SignatureChecks
from master_api.store.record_writes import RecordsWrite, WriteChain
from master_api.store.records import fetch_device_state, fetch_stored
from master_api.store.store import Store

_NOTHING_STORED: Final[Mapping[int, StoredRecord]] = {}


@dataclass(slots=True)
class PendingCommit:
    """A judged frame on its way to the disk; ``written`` is None if the store failed before."""

    intake: Intake
    first_seq: int
    chain: WriteChain
    written: RecordsWrite | None

    @property
    def is_settled(self) -> bool:
        """Whether it is known what became of it."""
        return self.written is None or self.written.is_done


class Known(NamedTuple):
    """What a frame is judged upon; see :func:`group_protocol.intake.take_items`."""

    state: DeviceState
    stored: Mapping[int, StoredRecord] = _NOTHING_STORED
    signed: Container[SignedRecord] = ()


class RecordIntake:
    """Judges frames and hands what is good to the store."""

    def __init__(  # noqa: PLR0913 - each is a port or a setting, by name
        self,
        *,
        store: Store,
        group: CurrentGroup,
        registry: GroupRegistry,
        clock: Clock,
        terms: SessionTerms,
        post: PeerPost,
        credit_bytes: int,
        checks: SignatureChecks,
        refuses_all: Callable[[], bool] = lambda: False,
        counts: IntakeCounts | None = None,
        pace: RecordPace | None = None,
    ) -> None:
        self._store = store
        self._group = group
        self._clock = clock
        self._rules = SessionRulesMaker(group, registry, terms, post)
        self.pace = pace or RecordPace(0)
        self._credit_bytes = self.pace.bound_credit(credit_bytes)
        self._checks = checks
        self._refuses_all = refuses_all
        self._counts = counts or IntakeCounts()

    async def take(self, live: LiveSession, frame: Items) -> Ack:
        """Judge a frame, commit it, answer the ACK. A store that fails is answered as a refusal of the first item."""
        pending = await self.begin(live, frame.items)
        return await self.finish(live, pending)

    async def begin(self, live: LiveSession, items: Sequence[Item]) -> PendingCommit:
        """Judge items and queue them for the store: those of a frame, or of several that came one behind the other.

        What a session sends is judged in its order, one call after the other.

        Raises:
            UnexpectedMessageError: The session has ended meanwhile; nothing was queued.
        """
        async with live.in_order:
            chain = live.records.chain
            try:
                known = await self._ask(live, items)
            except StoreError:
                return _fail(live, chain, items)
            return self._take(live, items, chain, known)

    def begin_at_once(self, live: LiveSession, items: Sequence[Item]) -> PendingCommit | None:
        """The same without waiting, as nearly every frame of a stream allows.

        None where something has to be asked first, the store or another process: then nothing has happened.

        Raises:
            UnexpectedMessageError: As :meth:`begin`.
        """
        state = live.records.judged
        if state is None or live.in_order.locked() or _has_to_ask(items, state):
            return None
        return self._take(live, items, live.records.chain, Known(state))

    async def finish(self, live: LiveSession, pending: PendingCommit) -> Ack:
        """Wait until a judged frame is committed, and make its ACK."""
        if pending.written is not None:
            with contextlib.suppress(StoreError):  # the ACK tells of it
                await pending.written.wait()
        return self.settle(live, pending)

    def settle(self, live: LiveSession, pending: PendingCommit) -> Ack:
        """The ACK of a judged frame of which it is known whether it was committed. Frames are settled in order."""
        intake, written = pending.intake, pending.written
        if written is not None:
            if written.error is None:
                _note_committed(live, intake)
            else:
                intake = _unavailable(live.records.committed, pending.first_seq)
                _begin_anew(live, pending.chain)
        self._counts.note(intake)
        return intake.ack(credit_bytes=self._credit_bytes, epoch=self._group.view().epoch)

    def acknowledge(self, live: LiveSession) -> Ack:
        """The ACK that answers OPEN, or tells of a new epoch: what is committed now."""
        state = live.records.committed
        return Ack(state.last_seq, state.evidence_seq, self._credit_bytes, self._group.view().epoch)

    async def _ask(self, live: LiveSession, items: Sequence[Item]) -> Known:
        """Ask the store, and the processes that check signatures. Raises StoreError."""
        if live.records.judged is None:
            live.records.judged = await self._store.write(lambda connection: fetch_device_state(connection, live.oid))
            live.records.committed = live.records.judged
        state = live.records.judged
        if self._refuses_all():
            return Known(state)
        stored: Mapping[int, StoredRecord] = _NOTHING_STORED
        if seqs := seqs_to_look_up(state, items):
            # By the writer's queue, not by a reader: what is looked up may be queued and not committed.
            stored = await self._store.write(lambda connection: fetch_stored(connection, live.oid, seqs))
        return Known(state, stored, await self._check_signatures(live, items, state))

    def _take(self, live: LiveSession, items: Sequence[Item], chain: WriteChain, known: Known) -> PendingCommit:
        """Judge and queue, in one go: nothing else happens to the session meanwhile."""
        # The rules are asked for after any wait: the group may have changed meanwhile.
        rules, quota = self._rules.of(live)
        try:
            with quota:
                if self._refuses_all():
                    intake = Intake(known.state, (), (), 0, _chain_is_away(items))
                else:
                    intake = take_items(items, known.state, rules, known.stored, signed=known.signed)
                if live.is_ended:
                    raise UnexpectedMessageError("the session has ended")
                written = self._queue(live, intake, chain, quota)
        except StoreError:
            return _fail(live, chain, items)
        live.records.judged = intake.state
        return PendingCommit(intake, _seq(items[0]), chain, written)

    async def _check_signatures(
        self, live: LiveSession, items: Sequence[Item], state: DeviceState
    ) -> Container[SignedRecord]:
        """Check what can be checked ahead: new records under the epoch of now, by the key of that epoch."""
        epoch = self._group.view().epoch
        new = [
            item
            for item in items
            if isinstance(item, SignedRecord) and item.epoch == epoch and item.seq > state.last_seq
        ]
        if not new:
            return ()
        group = self._group.require()
        return await self._checks.find_good(group.domain, group.gid, live.oid, live.records.address_in(epoch), new)

    def _queue(self, live: LiveSession, intake: Intake, chain: WriteChain, quota: FrameQuota) -> RecordsWrite:
        if live.records.chain is not chain:
            raise StoreError("a write that this frame was judged upon has failed meanwhile")
        # A frame with nothing to store is queued too: its ACK tells of what is queued before it.
        write = RecordsWrite(
            chain,
            live.oid,
            live.sid,
            intake.records,
            intake.checkpoints,
            self._clock.now_unix_s(),
            quota if quota.taken else None,
        )
        self._store.submit_records(write)
        return write


def _seq(item: Item) -> int:
    return item.last_seq if isinstance(item, Checkpoint) else item.seq


def _has_to_ask(items: Sequence[Item], state: DeviceState) -> bool:
    """Whether some may be repetitions, or so many are signed that they are checked elsewhere."""
    last_seq, signed = state.last_seq, 0
    for item in items:
        if isinstance(item, Checkpoint):
            continue
        if item.seq <= last_seq:
            return True
        if isinstance(item, SignedRecord):
            signed += 1
    return signed > SIGNATURES_CHECKED_INLINE_MAX


def _chain_is_away(items: Sequence[Item]) -> Refusal:
    return Refusal(_seq(items[0]), Reason.CHAIN_UNAVAILABLE, "the chain has been away for too long")


def _fail(live: LiveSession, chain: WriteChain, items: Sequence[Item]) -> PendingCommit:
    """The store did not answer, or took nothing."""
    _begin_anew(live, chain)
    first_seq = _seq(items[0])
    return PendingCommit(_unavailable(live.records.committed, first_seq), first_seq, chain, None)


def _begin_anew(live: LiveSession, failed: WriteChain) -> None:
    """Judge the next frame upon what is really stored; unless that has been arranged already."""
    if live.records.chain is failed:
        live.records.judged, live.records.chain = None, WriteChain()


def _note_committed(live: LiveSession, intake: Intake) -> None:
    if intake.state.last_seq >= live.records.committed.last_seq:
        live.records.committed = intake.state


def _unavailable(committed: DeviceState, refused_seq: int) -> Intake:
    refusal = Refusal(refused_seq, Reason.STORE_UNAVAILABLE, "the store failed")
    return Intake(committed, (), (), 0, refusal)
