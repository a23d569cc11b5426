"""Changing the device's key: the slave's side of ``docs/protocol.md`` §7.1.

Two keys lie on the disk while it lasts. A kill at any instant leaves a device that connects with one of them::

    everything delivered, periods closed by the old key
    candidate key on disk → marked as asked → POST /rotate → answer → M1–M4 under the new key → old key dropped
"""

import asyncio
from collections.abc import Awaitable, Callable

from group_protocol.crypto.keys import PrivateKey
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import Reason, RefusedError, RegistryUnavailable
from group_protocol.identifiers import Address
from group_protocol.messages_rotation import RotationCall
from group_protocol.ports import Clock, Random
from group_protocol.tickets import MembershipState, RegistryResult
from slave_client.buffer import Buffer
from slave_client.control_channel import ask_on_control
from slave_client.delivery import Signals, deliver_by_data
from slave_client.errors import DeviceRevokedError, MasterRefusalError
from slave_client.joining import Joining, OpenSession
from slave_client.keystore import KeyStore
from slave_client.outbox import Outbox, Sender
from slave_client.transport import Transport

_POLL_S = 1.0
_POLLS_MAX = 30
"""Each may take the master 20 s: ten minutes at most."""
_FINAL = frozenset({Reason.DEADLINE_PASSED, Reason.ADDRESS_IN_USE})
"""Refusals after which what was signed can never be carried out: its time is over, or the new address is taken."""
_AGAIN = "Run vgroup slave rotate again: both keys are kept until one of them is known to be the device's."


class Rotation:
    """One change of key, or the rest of one that was interrupted.

    Args:
        joining: Opens sessions, and adopts the new key once it has proved itself.
        store: The device's files.
        buffer: What waits is delivered under the old key first.
        clock: Time.
        random: For the new key.
        report: Called with one line after each step.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        joining: Joining,
        store: KeyStore,
        buffer: Buffer,
        *,
        clock: Clock,
        random: Random,
        report: Callable[[str], None],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._joining = joining
        self._store = store
        self._buffer = buffer
        self._clock = clock
        self._random = random
        self._report = report
        self._pause = pause

    async def run(self, transport: Transport, old_address: Address) -> Address:
        """Rotate. Answers the new address.

        Args:
            transport: The way to the master.
            old_address: The device's address when the command began.

        Raises:
            RefusedError: The contract or the master refused for a stated reason, and the message says whether that is
                rolled back (the new key is thrown away) or pending (both are kept).
            MasterRefusalError: Pending: the master does not know the new key yet; the same command finishes later.
            RegistryUnavailable: Pending: the master cannot reach the chain, or its receipt does not come.
            DeviceRevokedError, MasterUnreachableError, BusyError, KeyStoreError, StoreError: As they say.
        """
        opened = await self._joining.open_session(transport)
        if opened.key.address != old_address:
            return opened.key.address  # an earlier rotation had gone through, only its end was missing
        if opened.ticket.state is not MembershipState.ACTIVE:
            raise RefusedError(
                Reason.NOT_A_MEMBER,
                "the device is not associated",
                remedy="Run vgroup slave join.",
                code=ErrorCode.NOT_A_MEMBER,
            )
        await self._deliver_all(transport, opened)
        candidate = await asyncio.to_thread(self._store.make_candidate, self._random)
        await asyncio.to_thread(self._store.mark_asked, candidate, opened.ticket.deadline_unix_s)
        try:
            await self._ask(transport, opened, candidate.signing)
        except RefusedError as exc:
            raise await self._judge(exc) from exc
        proven = await self._joining.open_session(transport)
        if proven.key.address != candidate.signing.address:
            raise MasterRefusalError("pending: the master does not know the new key yet", remedy=_AGAIN)
        return proven.key.address

    async def _judge(self, refusal: RefusedError) -> RefusedError | RegistryUnavailable:
        """A refusal that is for good rolls the change back; any other leaves it pending."""
        if refusal.reason in _FINAL:
            await asyncio.to_thread(self._store.drop_candidate)
            return RefusedError(
                refusal.reason,
                f"rolled back: {refusal}; the old key stays, and the new one is thrown away",
                remedy="Run vgroup slave rotate to begin anew.",
            )
        if refusal.reason is Reason.CHAIN_UNAVAILABLE:
            return RegistryUnavailable("pending: the master cannot reach the chain now", remedy=_AGAIN)
        return RefusedError(refusal.reason, f"pending: {refusal}", remedy=_AGAIN)

    async def _deliver_all(self, transport: Transport, opened: OpenSession) -> None:
        """Send what waits and close the checkpoint period under the old key, as §6 asks before a rotation."""
        ticket, place = opened.ticket, self._joining.state.enrolment
        await self._buffer.begin_sending(ticket.last_seq)
        sender = Sender(opened.key, opened.domain, ticket.gid, ticket.oid, ticket.master_oid)
        sending_epoch = place.sending_epoch if place else ticket.epoch
        outbox = Outbox(self._buffer, sender, ticket.terms, sending_epoch=sending_epoch, clock=self._clock)
        signals = Signals(note_ack=lambda _ack: None, begin_epoch=self._joining.begin_epoch)
        signals.closing.set()
        await deliver_by_data(transport, opened, outbox, signals, self._clock)
        self._report("everything that waited is delivered under the old key")

    async def _ask(self, transport: Transport, opened: OpenSession, new: PrivateKey) -> None:
        ticket = opened.ticket
        digest = opened.domain.rotation_digest(ticket.gid, ticket.oid, new.address, ticket.deadline_unix_s)
        call = RotationCall(
            new.public_key, ticket.deadline_unix_s, opened.key.sign_digest(digest), new.sign_digest(digest)
        )
        for _ in range(_POLLS_MAX):
            answer = await ask_on_control(transport, opened.session, "/rotate", call.encode())
            result = RegistryResult.decode(answer)
            if result.state is MembershipState.REVOKED:
                raise DeviceRevokedError("this device is revoked")
            if result.reason is not Reason.NONE:
                raise RefusedError(result.reason, f"the rotation was refused: {result.reason.name}")
            if result.state is MembershipState.ACTIVE:
                self._report(f"the contract has the new key since block {result.block_number}, epoch {result.epoch}")
                return
            self._report("the contract's receipt is pending")
            await self._pause(_POLL_S)
        raise RegistryUnavailable("pending: the contract's receipt does not come", remedy=_AGAIN)
