"""Joining a group in steps, each on the disk before the next (``docs/protocol.md`` §3, §4, §7; paper section 4.2).

A kill at any instant leaves the last finished step; starting again goes on from there::

    PAIRED      pairing string known             → M1–M4 with the pairing proof
    ENROLLED    master knows us, token in hand   → M1–M4, then M5/M6 until the receipt stands
    ASSOCIATED  in the contract                  → M1–M4 open a session, nothing else
    REVOKED     the end
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from group_protocol.channels import SlaveSession
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import UnknownMasterError
from group_protocol.extensions import TurnedAwayError
from group_protocol.handshake.slave import SlaveHandshake
from group_protocol.identifiers import Address
from group_protocol.key_changes import KeyChange
from group_protocol.ports import Random, RegistryIdentity
from group_protocol.suites import Suite
from group_protocol.tickets import AssociationCall, MembershipState, Ticket
from group_protocol.typed_data import TypedDataDomain
from slave_client.association import ask_until_settled
from slave_client.device_state import DeviceState, Enrolment, JoinStep
from slave_client.errors import DeviceRevokedError, MasterRefusalError, NotAdmittedError
from slave_client.finding.places import Place, Way
from slave_client.key_changes import add_change, sign_change
from slave_client.keystore import CandidateKey, DeviceKeys, KeyStore
from slave_client.succession import find_successor
from slave_client.ticket_exchange import fetch_ticket
from slave_client.transport import Transport
from system_ports.software import software_version

ROLLBACK_AFTER_S = 2 * 86_400
"""A change of key is over when the master suggests deadlines that are so much later than the one it was signed with.

What it suggests lies at most a day ahead of the chain's time, so that time has then passed the old deadline by a day.
"""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """An established session with all that is needed to use it.

    Attributes:
        key: The device key that the session stands under.
    """

    ticket: Ticket
    session: SlaveSession
    key: PrivateKey
    domain: TypedDataDomain


@dataclass(frozen=True, slots=True)
class Offer:
    """What the slave offers in M1, the preferred first."""

    suites: tuple[Suite, ...]
    aeads: tuple[Aead, ...]


Reach = Callable[["Joining"], AbstractAsyncContextManager[tuple[Transport, OpenSession]]]
"""Opens a session, and holds the transport under it open as long as the context lasts."""


class Joining:
    """Takes a device from its pairing string to an open session, from wherever it stands.

    Args:
        store: The device's files.
        keys: Its keys, loaded before.
        state: Where it stands, loaded before.
        offer: Suites and AEADs.
        random: For nonces and ephemeral keys.
        report: Called with one line after each step, for people.
        pause: Waits so many seconds (asyncio.sleep, but for tests).
    """

    def __init__(
        self,
        store: KeyStore,
        keys: DeviceKeys,
        state: DeviceState,
        *,
        offer: Offer,
        random: Random,
        report: Callable[[str], None],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._keys = keys
        self._offer = offer
        self._random = random
        self._report = report
        self._pause = pause
        self.state = state
        self.reached: tuple[Place, Way] | None = None
        """Where the newest session was opened, and how the place was known; None before, or if it was given."""

    async def open_session(self, transport: Transport) -> OpenSession:
        """M1–M4.

        While a rotation is under way the master may know us by either key: the new one is tried first, and a refusal
        proves nothing (§7.1).

        Raises:
            NotAdmittedError: The master admits none of our keys.
            TurnedAwayError: It knows us, and says why it does not let us in.
            MasterRefusalError: A refusal from somebody who had not proved to be the master.
            DeviceRevokedError: It says that we are revoked.
            UnknownMasterError: Somebody answered who is not the master, nor its successor.
            RemoteProtocolError: It did not answer in the right way.
            MasterUnreachableError, BusyError, KeyStoreError: As they say.
        """
        if self.state.step is JoinStep.REVOKED:
            raise self._revoked()
        candidate = await asyncio.to_thread(self._store.load_candidate)
        if candidate is None or not candidate.was_asked:
            return await self._exchange_or_show(transport, self._keys.signing, self.state.key_changes)
        change = self._sign_change(candidate)
        try:
            opened = await self._exchange(transport, candidate.signing)
        except MasterRefusalError:
            try:
                opened = await self._exchange(transport, self._keys.signing)
            except (NotAdmittedError, TurnedAwayError):
                if change is None:
                    raise
                # Neither is admitted: the register may have the new key, and the master not know why.
                opened = await self._exchange(transport, candidate.signing, add_change(self.state.key_changes, change))
            else:
                await self._roll_back_if_over(candidate, opened.ticket)
                return opened
        if change is not None:
            await self._advance(replace(self.state, key_changes=add_change(self.state.key_changes, change)))
        self._keys = await asyncio.to_thread(self._store.adopt_candidate, self._keys, candidate)
        self._report("promoted: the new key has proved itself and is in force; the old one is gone")
        return opened

    async def _exchange_or_show(
        self, transport: Transport, key: PrivateKey, changes: tuple[KeyChange, ...]
    ) -> OpenSession:
        """M1–M4; and once more with the proof of our key, if a proven master does not know it (§7.2).

        With a pairing code at once: else that master would take us for a new device.
        """
        if changes and self.state.code is not None:
            return await self._exchange(transport, key, changes)
        try:
            return await self._exchange(transport, key)
        except NotAdmittedError:
            if not changes:
                raise
        opened = await self._exchange(transport, key, changes)
        self._report("the master did not know our key, and took the proof of its change")
        return opened

    def _sign_change(self, candidate: CandidateKey) -> KeyChange | None:
        """None if the candidate is the device's key already: only its own file was left over."""
        place = self.state.enrolment
        if place is None or candidate.signing.address == self._keys.signing.address:
            return None
        return sign_change(place, self._keys.signing, candidate.signing, candidate.asked_deadline_unix_s)

    async def _roll_back_if_over(self, candidate: CandidateKey, ticket: Ticket) -> None:
        """The old key is in force. Throw the new one away once no block can bring it in any more (§7.1)."""
        if ticket.state is not MembershipState.ACTIVE:
            return
        if not candidate.asked_deadline_unix_s:
            await asyncio.to_thread(self._store.mark_asked, candidate, ticket.deadline_unix_s)
        elif ticket.deadline_unix_s > candidate.asked_deadline_unix_s + ROLLBACK_AFTER_S:
            await asyncio.to_thread(self._store.drop_candidate)
            self._report("rolled back: the change of key never reached the contract, and never can; the old key stays")

    async def associate(self, transport: Transport, opened: OpenSession, *, waits_for_chain: bool = True) -> None:
        """M5 and M6, until the device is associated; nothing to do if it is.

        Args:
            transport: The session's.
            opened: The session.
            waits_for_chain: Go on asking while the master cannot reach the chain, however long; else raise.

        Raises:
            RefusedError: The contract or the master refused for a stated reason.
            RegistryUnavailable: The master cannot reach the contract.
            DeviceRevokedError, MasterRefusalError, MasterUnreachableError, BusyError: As they say.
        """
        if self.state.step is not JoinStep.ENROLLED:
            return
        ticket = opened.ticket
        digest = opened.domain.association_digest(ticket.gid, ticket.token, ticket.deadline_unix_s)
        result = await ask_until_settled(
            transport,
            opened.session,
            AssociationCall(ticket.token, opened.key.sign_digest(digest), ticket.deadline_unix_s),
            waits_for_chain=waits_for_chain,
            report=self._report,
            pause=self._pause,
        )
        if result.state is MembershipState.REVOKED:
            await self._advance(self.state.revoked())
            raise self._revoked()
        await self._advance(self.state.associated())
        self._report(f"associated in block {result.block_number}")

    async def note_place(self, place: Place) -> None:
        """Note on the disk where the master is to be found, beside the place that was typed. Raises KeyStoreError."""
        await self._advance(replace(self.state, last_place=place))

    async def begin_epoch(self, epoch: int) -> None:
        """Note on the disk that records are sent under this epoch from now on. Raises KeyStoreError."""
        if self.state.enrolment is not None:
            await self._advance(replace(self.state, enrolment=replace(self.state.enrolment, sending_epoch=epoch)))

    async def _exchange(
        self, transport: Transport, key: PrivateKey, changes: tuple[KeyChange, ...] = ()
    ) -> OpenSession:
        """M1–M4 with the pinned master, or with the one that its own signature names as the next (§3.5)."""
        try:
            return await self._exchange_with(transport, key, self.state.master, changes)
        except UnknownMasterError:
            successor = await find_successor(transport, self.state)
            if successor is None:
                raise
        opened = await self._exchange_with(transport, key, successor, changes)
        self._report(f"the master has a new key and proved it: it is 0x{successor.hex()} from now on")
        return opened

    async def _exchange_with(
        self, transport: Transport, key: PrivateKey, master: Address, changes: tuple[KeyChange, ...]
    ) -> OpenSession:
        place = self.state.enrolment
        handshake = SlaveHandshake(
            key=key,
            master=master,
            gid=self.state.gid,
            oid=place.oid if place else None,
            suites=self._offer.suites,
            aeads=self._offer.aeads,
            pairing_code=self.state.code,
            random=self._random,
            software=software_version(),
            key_changes=changes,
        )
        try:
            ticket = await fetch_ticket(transport, handshake, is_enrolled=self.state.step is not JoinStep.PAIRED)
        except TurnedAwayError as exc:
            await self._advance(replace(self.state, standing=exc.standing))
            raise
        await self._take_ticket(ticket, master)
        domain = TypedDataDomain(RegistryIdentity(ticket.chain_id, ticket.contract))
        return OpenSession(ticket, handshake.session, key, domain)

    async def _take_ticket(self, ticket: Ticket, master: Address) -> None:
        """Whoever issued it has proved itself: only now is it the pinned master, if it was not before."""
        before = self.state.enrolment
        place = Enrolment(
            ticket.gid,
            ticket.oid,
            ticket.address,
            ticket.token,
            ticket.master_oid,
            ticket.chain_id,
            ticket.contract,
            before.sending_epoch if before else ticket.epoch,
        )
        state = replace(self.state.enrolled(place), master=master, master_software=ticket.software)
        if ticket.state is MembershipState.ACTIVE:
            state = state.associated()
        elif ticket.state is MembershipState.REVOKED:
            state = state.revoked()
        else:
            state = state.not_associated()
        if before is None:
            self._report(f"enrolled in group {ticket.gid.hex()} as {ticket.oid.hex()}")
        await self._advance(state)
        if state.step is JoinStep.REVOKED:
            raise self._revoked()

    async def _advance(self, state: DeviceState) -> None:
        if state != self.state:
            await asyncio.to_thread(self._store.store_state, state)
            self.state = state

    def _revoked(self) -> DeviceRevokedError:
        return DeviceRevokedError(
            "this device is revoked: the contract lists its id as revoked for good",
            remedy="To use the device again, as a new one: vgroup device invite NAME, vgroup slave join STRING.",
        )
