"""Key exchange and admission: M1 to M4 (``docs/protocol.md`` §3). No HTTP in here."""

import asyncio
import logging

from sqlalchemy import Connection

from group_protocol.crypto.kdf import sha256
from group_protocol.errors import (
    LateInvitationError,
    Reason,
    RemoteProtocolError,
    UnexpectedMessageError,
    UnknownExtensionError,
    VerificationError,
)
from group_protocol.extensions import Standing
from group_protocol.handshake import CookieJar, Identity, MasterHandshake, MasterPolicy
from group_protocol.handshake.master import MasterState
from group_protocol.identifiers import derive_object_id
from group_protocol.membership import ObjectView
from group_protocol.messages import CookieChallenge, KeysSessionAnswer, KeysSessionRequest, SealedAnswer, SealedRequest
from group_protocol.tickets import MembershipState, Ticket
from group_protocol.tokens import issue_token
from master_api.audit import AuditKind
from master_api.context import MasterContext
from master_api.current_group import FormedGroup
from master_api.disputes import claim_of
from master_api.pairing import pair_device, require_invited
from master_api.sessions import DeviceRecords, HalfOpen, LiveSession
from master_api.shown_keys import take_shown_key
from master_api.store.devices import DeviceRow, fetch_device, fetch_device_by_address, fetch_keys_of, set_last_seen
from master_api.store.records import fetch_device_state
from master_api.store.standings import note_software
from master_api.turning_away import turn_away
from system_ports.handshake_turns import HandshakeTurns
from system_ports.rate_limits import HandshakeLimiter, Rate, RecentCalls
from system_ports.software import software_version

_COOKIE_KEY_BYTES = 32
_ADMISSIONS_AT_ONCE = 16
"""So many admissions share a commit of the store; more would only queue before its threads, and not in turn."""

_log = logging.getLogger("vgroup.master.enrolment")


class Enrolment:
    """Opens sessions for devices that prove who they are.

    Attributes:
        exchange_turns: Whose M1 is answered next.
        ticket_turns: Whose M3 is.
    """

    def __init__(self, context: MasterContext) -> None:
        self._context = context
        self._cookies = CookieJar(context.random.token_bytes(_COOKIE_KEY_BYTES))
        config, clock, calls = context.config, context.clock, RecentCalls()
        self._limiter = HandshakeLimiter(
            config.handshake_rate_per_address, config.handshake_rate, clock.monotonic_s(), calls
        )
        self.exchange_turns = HandshakeTurns(calls, at_once=1, monotonic_s=clock.monotonic_s)
        self.ticket_turns = HandshakeTurns(calls, at_once=_ADMISSIONS_AT_ONCE, monotonic_s=clock.monotonic_s)

    def change_rates(self, per_address: Rate, overall: Rate) -> None:
        """From now on these rates of handshake messages."""
        self._limiter.change_rates(per_address, overall, self._context.clock.monotonic_s())

    def admit(self, peer: str) -> None:
        """Count a message of somebody unknown. Raises BusyError beyond the rate."""
        self._limiter.admit(peer, self._context.clock.monotonic_s())

    def answer_keys_session(self, m1: KeysSessionRequest, peer: str) -> KeysSessionAnswer | CookieChallenge:
        """M1 to M2, or to M1R when many exchanges are half open.

        Raises:
            BusyError: A rate or the table of half-open sessions is full.
            RemoteProtocolError: M1 is refused; nothing is kept of it.
        """
        context, now_s = self._context, self._context.clock.monotonic_s()
        self._limiter.admit(peer, now_s)
        group = context.group.require()
        context.half_open.expire(now_s)
        is_loaded = len(context.half_open) >= context.config.cookie_threshold
        if is_loaded and not self._cookies.is_valid(peer, m1, now_s):
            return self._cookies.challenge(peer, m1, now_s)
        context.half_open.require_room(peer, now_s)
        policy = MasterPolicy(group.gid, frozenset(context.config.suites), frozenset(context.config.aeads))
        handshake, m2 = MasterHandshake.answer(m1, key=context.key, policy=policy, random=context.random)
        context.half_open.add(handshake, peer, now_s)
        return m2

    async def answer_ticket(self, m3: SealedRequest, peer: str) -> SealedAnswer:
        """M3 to M4; the same M3 again to the same M4.

        Raises:
            BusyError: The rate or the table of sessions is full.
            RemoteProtocolError: M3 is refused.
            StoreError: The store failed; the device may try again with a new M1.
        """
        now_s = self._context.clock.monotonic_s()
        self._limiter.admit(peer, now_s)
        digest = sha256(m3.to_body())
        live = self._context.live.find(m3.sid, now_s)
        if live is not None:
            if live.m3_digest != digest:
                raise UnexpectedMessageError("another M3 for an established session")
            return live.m4
        half_open = self._context.half_open.find(m3.sid, now_s)
        if half_open is None:
            raise UnexpectedMessageError("there is no such half-open session")
        if half_open.admission is None:
            identity = self._identify(half_open, m3)
            half_open.m3_digest = digest
            half_open.admission = asyncio.create_task(self._admit(half_open, identity))
            half_open.admission.add_done_callback(_take_note)
        elif half_open.m3_digest != digest:
            raise UnexpectedMessageError("another M3 while one is being admitted")
        # Shielded: a device that hangs up while it is admitted may come again with the same M3.
        return await asyncio.shield(half_open.admission)

    def _identify(self, half_open: HalfOpen, m3: SealedRequest) -> Identity:
        try:
            return half_open.handshake.receive_identity(m3)
        except RemoteProtocolError:
            # An M3 that does not open may be anybody's who saw the sid: the true one can still come.
            if half_open.handshake.state is MasterState.FAILED:
                self._context.half_open.remove(m3.sid)
            raise

    async def _admit(self, half_open: HalfOpen, identity: Identity) -> SealedAnswer:
        try:
            group = self._context.group.require()
            try:
                device = await self._recognise(group, half_open.handshake, identity)
            except LateInvitationError:
                oid = derive_object_id(identity.address)
                return turn_away(self._context, half_open.handshake, identity, oid, Standing.EXPIRED)
            standing = self._standing(device, identity)
            if standing is not Standing.GOOD:
                return turn_away(self._context, half_open.handshake, identity, device.oid, standing)
            return await self._open_session(group, device, half_open, identity)
        finally:
            self._context.half_open.remove(half_open.handshake.sid)

    def _standing(self, device: DeviceRow, identity: Identity) -> Standing:
        """What keeps a known device out, beside the operator's order of its revocation: of that it hears as such."""
        if identity.unsupported is not None:
            return Standing.UNSUPPORTED
        if claim_of(device, self._context.registry.membership().objects.get(device.oid)) is not None:
            return Standing.DISPUTED
        is_banned = device.oid in self._context.bans.banned and device.state is not MembershipState.REVOKED
        return Standing.BANNED if is_banned else Standing.GOOD

    async def _recognise(self, group: FormedGroup, handshake: MasterHandshake, identity: Identity) -> DeviceRow:
        """The enrolled device of this key, or the one that its pairing proof enrols now."""

        def find(connection: Connection) -> DeviceRow | None:
            return fetch_device_by_address(connection, identity.address)

        def find_or_pair(connection: Connection) -> DeviceRow | RemoteProtocolError:
            return find(connection) or pair_device(connection, self._context, group, handshake, identity)

        def find_or_turn_away(connection: Connection) -> DeviceRow | None:
            found = find(connection)
            if found is None:
                require_invited(connection, identity)
            return found

        device = None
        if identity.key_history is not None:
            device = await self._context.store.read(find) or await take_shown_key(self._context, group, identity)
        device = device or await self._context.store.read(find_or_turn_away)
        if device is not None:
            return device
        if identity.unsupported is not None:
            raise UnknownExtensionError(identity.unsupported)
        paired = await self._context.store.write(find_or_pair)
        if isinstance(paired, RemoteProtocolError):
            raise paired
        return paired

    async def _open_session(
        self, group: FormedGroup, device: DeviceRow, half_open: HalfOpen, identity: Identity
    ) -> SealedAnswer:
        context, now_s = self._context, self._context.clock.monotonic_s()
        context.live.require_room(device.oid, now_s)
        deadline_unix_s = await context.deadlines.suggest_unix_s()
        older = context.live.of_device(device.oid)
        if older is not None:
            # Before the state is read, so that nothing of the older session can be written behind it.
            context.live.end(older, Reason.REPLACED)
        # Read again: the operator may have revoked it since, or its key may have changed.
        records, device = await context.store.write(
            lambda connection: self._begin_records(connection, device, identity.software)
        )
        if device.address != identity.address:
            raise VerificationError("the device has another key since a moment ago")
        standing = self._standing(device, identity)
        if standing is not Standing.GOOD:  # since a moment ago
            return turn_away(context, half_open.handshake, identity, device.oid, standing)
        state = self._membership_state(group, device, context.registry.membership().objects.get(device.oid))
        ticket = self._make_ticket(group, device, state, deadline_unix_s, records.committed.last_seq)
        session, m4 = half_open.handshake.admit(ticket)
        context.live.add(
            LiveSession(
                session=session,
                oid=device.oid,
                address=device.address,
                expires_s=now_s + context.config.session_lifetime_s,
                m3_digest=half_open.m3_digest,
                m4=m4,
                token=ticket.token,
                records=records,
                is_revoked=state is MembershipState.REVOKED,
            )
        )
        _log.info("session opened", extra={"fields": {"oid": device.oid.hex(), "state": ticket.state.name}})
        return m4

    def _begin_records(
        self, connection: Connection, device: DeviceRow, software: str
    ) -> tuple[DeviceRecords, DeviceRow]:
        set_last_seen(connection, device.oid, self._context.clock.now_unix_s())
        note_software(connection, device.oid, software)
        self._context.audit.append(connection, AuditKind.SESSION_OPENED, {"oid": device.oid.hex()})
        state = fetch_device_state(connection, device.oid)
        records = DeviceRecords(fetch_keys_of(connection, device.oid), committed=state, judged=state)
        return records, fetch_device(connection, device.oid) or device

    def _make_ticket(
        self, group: FormedGroup, device: DeviceRow, state: MembershipState, deadline_unix_s: int, last_seq: int
    ) -> Ticket:
        return Ticket(
            gid=group.gid,
            oid=device.oid,
            address=device.address,
            token=issue_token(self._context.key, group.gid, device.address, oid=device.oid),
            master_oid=group.master_oid,
            chain_id=group.row.chain_id,
            contract=group.row.contract,
            state=state,
            epoch=self._context.group.view().epoch,
            deadline_unix_s=deadline_unix_s,
            last_seq=last_seq,
            terms=self._context.config.terms,
            software=software_version(),
        )

    def _membership_state(self, group: FormedGroup, device: DeviceRow, view: ObjectView | None) -> MembershipState:
        """As the registry says; but a revocation that was ordered here holds, even if a node forgets it."""
        if device.state is MembershipState.REVOKED:
            return MembershipState.REVOKED
        if view is not None and view.gid == group.gid:
            return MembershipState.ACTIVE
        is_waiting = self._context.calls.is_running(device.oid) or device.oid in self._context.waiting.associations
        return MembershipState.PENDING if is_waiting else MembershipState.NOT_ASSOCIATED


def _take_note(admission: asyncio.Task[SealedAnswer]) -> None:
    """A device that hung up does not hear how its admission ended; asyncio wants somebody to."""
    if not admission.cancelled():
        admission.exception()
