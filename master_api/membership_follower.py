"""Follows the registry's events: cuts off who was revoked, lets go of old keys, keeps the store up to date."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator

from sqlalchemy import Connection

from group_protocol.errors import Reason, RegistryInconsistent, RegistryUnavailable, StoreError
from group_protocol.identifiers import Address, ObjectId
from group_protocol.membership import (
    Associated,
    AssociationUndone,
    ChainEvent,
    ChainPosition,
    MasterRotated,
    Membership,
    ObjectState,
    Revoked,
    Rotated,
)
from group_protocol.tickets import MembershipState
from master_api.context import MasterContext
from master_api.dispute_watch import DisputeWatch
from master_api.membership_entries import MembershipEntries
from master_api.store.devices import DeviceRow, fetch_device, fetch_devices

RETRY_S = 1.0
"""Between attempts while the registry or the store fails."""
EVENT_WAIT_S = 60.0
"""Longest time between a receipt and its event.

In the same process it is milliseconds; a node is polled every second.
"""

_log = logging.getLogger("vgroup.master.membership")


class MembershipFollower:
    """One task that takes events in chain order. What happened while nobody followed is made up for at the start."""

    def __init__(self, context: MasterContext) -> None:
        self._context = context
        self._entries = MembershipEntries(context.audit, context.group)
        self._waiters: dict[ObjectId, set[asyncio.Event]] = {}
        self._following = asyncio.Event()

    @property
    def is_following(self) -> bool:
        """Whether events are being taken now."""
        return self._following.is_set()

    async def wait_until_following(self) -> None:
        """Return when the store agrees with the registry and events are being taken."""
        await self._following.wait()

    async def run(self) -> None:
        """Follow until the registry closes or the task is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(DisputeWatch(self._context).run(), name="dispute watch")
            await self._follow()
            watching.cancel()

    async def _follow(self) -> None:
        while True:
            try:
                events = self._context.registry.events()
                await self._context.disputes.load()
                await self.reconcile()
                self._following.set()
                await self._take_all(events)
            except (RegistryUnavailable, RegistryInconsistent, StoreError) as exc:
                self._following.clear()
                _log.warning(
                    "membership cannot be followed now", extra={"fields": {"message": str(exc), "code": exc.code}}
                )
                await asyncio.sleep(RETRY_S)
            else:
                self._following.clear()
                return

    async def wait_for_device(self, oid: ObjectId, is_settled: Callable[[DeviceRow], bool]) -> None:
        """Return when the event behind a receipt has been dealt with here and the store shows it.

        Raises:
            RegistryUnavailable: It did not come in time.
        """
        try:
            async with asyncio.timeout(EVENT_WAIT_S):
                with self._listening(oid) as told:
                    while not await self._context.store.read(lambda connection: _holds(connection, oid, is_settled)):
                        await told.wait()
                        told.clear()
        except TimeoutError as exc:
            raise RegistryUnavailable("the event of a receipt does not come") from exc

    @contextlib.contextmanager
    def _listening(self, oid: ObjectId) -> Iterator[asyncio.Event]:
        """What is told of one device.

        Each for itself: if all looked into the store at every event of any, a thousand devices that join at once would
        cost a million looks.
        """
        told = asyncio.Event()
        self._waiters.setdefault(oid, set()).add(told)
        try:
            yield told
        finally:
            self._waiters[oid].discard(told)
            if not self._waiters[oid]:
                del self._waiters[oid]

    async def reconcile(self) -> None:
        """Bring the store to what the registry says now. Also after a group was adopted."""
        group = self._context.group.formed
        if group is None:
            return
        membership = self._context.registry.membership()
        epoch = self._context.group.view().epoch

        def bring_up(connection: Connection) -> list[ObjectId]:
            """Answers whom the registry shows as a slave though it was revoked here."""
            unrevoked = []
            for device in fetch_devices(connection):
                view = membership.objects.get(device.oid)
                if view is not None and view.gid == group.gid:
                    self._entries.bring_up(connection, device, view, epoch)
                    if view.state is ObjectState.SLAVE and device.state is MembershipState.REVOKED:
                        unrevoked.append(device.oid)
                elif view is None:
                    self._entries.enter_undone(connection, device.oid)
            return unrevoked

        for oid in await self._context.store.write(bring_up):
            await self._context.waiting.renew_revocation(oid)
        await self._judge_all(membership)
        self._tell_waiters(*self._waiters)

    async def _judge_all(self, membership: Membership) -> None:
        for device in await self._context.store.read(fetch_devices):
            await self._context.disputes.judge(device, membership.objects.get(device.oid))
        for live in self._context.live:
            view = membership.objects.get(live.oid)
            if view is not None and view.state is ObjectState.REVOKED:
                self.cut_off(live.oid)

    async def renew_undone_revocations(self) -> None:
        """Send again what the operator ordered and the chain no longer holds. Costs no I/O where there is nothing.

        The registry goes back without a word when a fork takes a revocation alone.
        """
        objects = self._context.registry.membership().objects
        for oid in list(self._context.waiting.settled):
            view = objects.get(oid)
            if view is not None and view.state is ObjectState.SLAVE:
                _log.warning("the chain has lost a revocation; it is made again", extra={"fields": {"oid": oid.hex()}})
                await self._context.waiting.renew_revocation(oid)

    async def _take_all(self, events: AsyncIterator[ChainEvent]) -> None:
        async for event in events:
            group = self._context.group.formed
            if group is not None and event.gid == group.gid:
                await self._take(event)
                oid = getattr(event, "oid", None)
                if oid is not None:
                    self._tell_waiters(oid)

    async def _take(self, event: ChainEvent) -> None:
        _log.info("registry event", extra={"fields": {"event": type(event).__name__, "block": event.at.block_number}})
        # Sessions first: nothing of a revoked device is taken while the store is busy.
        match event:
            case Associated():
                await self._context.store.write(lambda connection: self._entries.enter_association(connection, event))
                await self._context.waiting.drop_association(event.oid)
                await self._revoke_again(event.oid)
            case AssociationUndone():
                self._send_back(event.oid)
                await self._context.store.write(lambda connection: self._entries.enter_undone(connection, event.oid))
            case Revoked():
                self.cut_off(event.oid)
                await self._context.waiting.settle_revocation(event.oid, event.at.block_number)
                await self.judge(event.oid, event.at)
            case Rotated():
                self._let_go_of_old_key(event.oid)
                await self._context.store.write(
                    lambda connection: self._entries.enter_rotation(
                        connection, event.oid, event.new_address, event.epoch
                    )
                )
                await self.judge(event.oid, event.at)
            case MasterRotated():
                self._note_master(event.new_master)
            case _:
                return
        if not isinstance(event, Associated | AssociationUndone):
            self._announce_epoch()

    def _note_master(self, new_master: Address) -> None:
        """The audit log has it by whoever changed the key (:mod:`master_api.key_rotation`)."""
        if new_master not in (self._context.key.address, self._context.next_master):
            fields = {"new_master": new_master.hex()}
            _log.error(
                "the register has another key for this master: stop it, and see docs/operations.md",
                extra={"fields": fields},
            )

    async def judge(self, oid: ObjectId, at: ChainPosition | None = None) -> None:
        """Begin or end a device's dispute with the register. Raises StoreError."""
        device = await self._context.store.read(lambda connection: fetch_device(connection, oid))
        if device is not None:
            await self._context.disputes.judge(device, self._context.registry.membership().objects.get(oid), at)

    def cut_off(self, oid: ObjectId) -> None:
        """End what a revoked device has open; why it is out, it hears in its next M4."""
        live = self._context.live.of_device(oid)
        if live is not None:
            is_final = self._context.waiting.is_ordered(oid)
            self._context.live.end(live, Reason.OBJECT_REVOKED if is_final else Reason.NOT_A_MEMBER)

    def _send_back(self, oid: ObjectId) -> None:
        """A fork took the device's association: its stream ends with NOT_A_MEMBER, and it comes again with M5."""
        live = self._context.live.of_device(oid)
        if live is not None and live.stream is not None:
            live.stream.end(Reason.NOT_A_MEMBER)

    async def _revoke_again(self, oid: ObjectId) -> None:
        """The registry shows a slave that this master's operator revoked: a fork undid it, or it came too late."""
        view = self._context.registry.membership().objects.get(oid)
        if view is not None and view.state is ObjectState.SLAVE:
            device = await self._context.store.read(lambda connection: fetch_device(connection, oid))
            if device is not None and device.state is MembershipState.REVOKED:
                await self._context.waiting.renew_revocation(oid)

    def _let_go_of_old_key(self, oid: ObjectId) -> None:
        live = self._context.live.of_device(oid)
        view = self._context.registry.membership().objects.get(oid)
        if live is None or view is None or view.account == live.address:
            return
        live.is_rotated = True
        if live.stream is not None:
            live.stream.end(Reason.REPLACED)

    def _announce_epoch(self) -> None:
        for live in self._context.live:
            if live.stream is not None:
                live.stream.announce()

    def _tell_waiters(self, *oids: ObjectId) -> None:
        for told in itertools.chain.from_iterable(self._waiters.get(oid, ()) for oid in oids):
            told.set()


def _holds(connection: Connection, oid: ObjectId, is_settled: Callable[[DeviceRow], bool]) -> bool:
    device = fetch_device(connection, oid)
    return device is not None and is_settled(device)
