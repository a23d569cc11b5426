"""Sessions that the master holds: half-open ones between M2 and M3, and established ones.

Both tables are bounded in number and lifetime. Time is handed in (monotonic seconds).
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from group_protocol.channels import MasterSession
from group_protocol.device_state import DeviceState
from group_protocol.errors import BusyError, Reason, UnexpectedMessageError
from group_protocol.handshake.master import MasterHandshake
from group_protocol.identifiers import Address, ObjectId, SessionId, Token
from group_protocol.limits import HALF_OPEN_LIFETIME_S
from group_protocol.messages import SealedAnswer
from master_api.session_rules import SessionRules
from master_api.store.devices import DeviceKeyRow, address_in_epoch
from master_api.store.record_writes import WriteChain
from system_ports.rate_limits import site_of


@dataclass(slots=True)
class HalfOpen:
    """An exchange whose M3 has not been verified.

    Attributes:
        admission: The admission that a verified M3 began, with the digest of that M3.
    """

    handshake: MasterHandshake
    peer: str
    expires_s: float
    m3_digest: bytes = b""
    admission: asyncio.Task[SealedAnswer] | None = None


class HalfOpenSessions:
    """Bounded by number, by number per address, and by 30 s of life (``docs/protocol.md`` §3.4).

    A full table drops its oldest exchange for a new one. Were new ones refused instead, sixteen addresses that open 64
    exchanges each and never go on would lock every device out for as long as they like. As it is, they would have to
    open a thousand between a device's M1 and its M3: more than the master answers in that time.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._sessions: dict[SessionId, HalfOpen] = {}  # in the order of their expiry: all live equally long
        self._per_site: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._sessions)

    def change_bounds(self, most: int, most_per_address: int) -> None:
        """From now on these bounds; what is open stays open."""
        self._most = most
        self._most_per_address = most_per_address

    def require_room(self, peer: str, now_s: float) -> None:
        """Forget what has expired, and if the table is full the oldest exchange too, so that one more fits.

        Raises:
            BusyError: The address has its share, or every exchange is being admitted right now.
        """
        self.expire(now_s)
        if self._per_site[site_of(peer)] >= self._most_per_address:
            raise BusyError("too many half-open sessions", retry_after_s=HALF_OPEN_LIFETIME_S)
        if len(self._sessions) >= self._most:
            oldest = next((sid for sid, half_open in self._sessions.items() if half_open.admission is None), None)
            if oldest is None:
                raise BusyError("too many exchanges are being admitted", retry_after_s=1)
            self.remove(oldest)

    def add(self, handshake: MasterHandshake, peer: str, now_s: float) -> None:
        """Keep an exchange that was answered by M2. Call :meth:`require_room` first."""
        self._sessions[handshake.sid] = HalfOpen(handshake, peer, now_s + HALF_OPEN_LIFETIME_S)
        self._per_site[site_of(peer)] += 1

    def find(self, sid: SessionId, now_s: float) -> HalfOpen | None:
        """The half-open session of that name, if it lives."""
        self.expire(now_s)
        return self._sessions.get(sid)

    def remove(self, sid: SessionId) -> None:
        """The exchange has ended, either way."""
        half_open = self._sessions.pop(sid, None)
        if half_open is not None:
            site = site_of(half_open.peer)
            self._per_site[site] -= 1
            if not self._per_site[site]:
                del self._per_site[site]

    def expire(self, now_s: float) -> None:
        """Forget the sessions whose time is up; one that is being admitted right now ends by itself."""
        for sid, half_open in list(self._sessions.items()):
            if half_open.expires_s > now_s:
                return
            self.remove(sid)


class LiveStream(Protocol):
    """What the rest of the master may do to an open stream."""

    def end(self, reason: Reason) -> None:
        """Send CLOSE with this reason and close the socket, soon and without waiting."""
        ...

    def announce(self) -> None:
        """Send an ACK unasked: the epoch has risen."""
        ...


@dataclass(slots=True)
class DeviceRecords:
    """What a session knows of its device's records.

    Attributes:
        keys: The device's addresses by rising epoch, the present one last.
        committed: State with everything that is committed.
        judged: State with everything judged so far, committed or not; None: ask the store.
        rules: What frames are judged by, kept from one to the next; see :mod:`master_api.session_rules`.
    """

    keys: list[DeviceKeyRow]
    committed: DeviceState
    judged: DeviceState | None
    chain: WriteChain = field(default_factory=WriteChain)
    rules: SessionRules | None = None

    def address_in(self, epoch: int) -> Address:
        """Whose signature is good for records of that epoch."""
        return address_in_epoch(self.keys, epoch)


@dataclass(slots=True)
class LiveSession:
    """An established session of a proven device.

    Attributes:
        m3_digest: SHA-256 of the sealed M3, to know it again; ``m4`` is what it got.
        token: The token in M4.
        in_order: Held while a frame of records is judged: one at a time, in the order of arrival.
        is_rotated: The device has another key now; this session answers ``/rotate`` alone (§7.1).
        is_revoked: The device was revoked before the session began: it is told so, and nothing is taken of it.
        has_streamed: A session carries one stream in its life (§5.3).
    """

    session: MasterSession
    oid: ObjectId
    address: Address
    expires_s: float
    m3_digest: bytes
    m4: SealedAnswer
    token: Token
    records: DeviceRecords
    in_order: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_rotated: bool = False
    is_revoked: bool = False
    has_streamed: bool = False
    stream: LiveStream | None = None
    is_ended: bool = False

    @property
    def sid(self) -> SessionId:
        """The session's name."""
        return self.session.sid


class LiveSessions:
    """Established sessions, one per device, bounded in number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_sid: dict[SessionId, LiveSession] = {}
        self._by_oid: dict[ObjectId, LiveSession] = {}

    def __len__(self) -> int:
        return len(self._by_sid)

    def change_bound(self, most: int) -> None:
        """From now on so many; what is open stays open."""
        self._most = most

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(list(self._by_sid.values()))

    def require_room(self, oid: ObjectId, now_s: float) -> None:
        """See whether a session of this device fits; one of its own that it replaces makes room.

        Raises:
            BusyError: The table is full of living sessions of other devices.
        """
        if len(self._by_sid) < self._most or oid in self._by_oid:
            return
        self.expire(now_s)
        if len(self._by_sid) >= self._most:
            raise BusyError("too many sessions", retry_after_s=60)

    def add(self, live: LiveSession) -> None:
        """Establish a session; an older one of the same device ends."""
        older = self._by_oid.get(live.oid)
        if older is not None:
            self.end(older, Reason.REPLACED)
        self._by_sid[live.sid] = live
        self._by_oid[live.oid] = live

    def find(self, sid: SessionId, now_s: float) -> LiveSession | None:
        """The living session of that name."""
        live = self._by_sid.get(sid)
        if live is not None and live.expires_s <= now_s:
            self.end(live, Reason.SESSION_EXPIRED)
            return None
        return live

    def require(self, sid: SessionId, now_s: float) -> LiveSession:
        """The same.

        Raises:
            UnexpectedMessageError: There is none.
        """
        live = self.find(sid, now_s)
        if live is None:
            raise UnexpectedMessageError("there is no such session")
        return live

    def of_device(self, oid: ObjectId) -> LiveSession | None:
        """The session that a device has."""
        return self._by_oid.get(oid)

    def end(self, live: LiveSession, reason: Reason) -> None:
        """Forget a session and end its stream."""
        live.is_ended = True
        if self._by_sid.get(live.sid) is live:
            del self._by_sid[live.sid]
        if self._by_oid.get(live.oid) is live:
            del self._by_oid[live.oid]
        if live.stream is not None:
            live.stream.end(reason)

    def expire(self, now_s: float) -> None:
        """End the sessions whose time is up."""
        for live in self:
            if live.expires_s <= now_s:
                self.end(live, Reason.SESSION_EXPIRED)

    def end_all(self, reason: Reason) -> None:
        """At shutdown."""
        for live in self:
            self.end(live, reason)
