import asyncio
from dataclasses import dataclass, field

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.device_state import DeviceState
from group_protocol.errors import BusyError, Reason, UnexpectedMessageError
from group_protocol.handshake import MasterHandshake
from group_protocol.identifiers import Address, ObjectId, SessionId, Token
from group_protocol.messages import SealedAnswer
from master_api.sessions import DeviceRecords, HalfOpenSessions, LiveSession, LiveSessions
from tests.support.handshakes import answer_m1, make_slave, run_exchange
from tests.support.seeded import SeededRandom


@dataclass
class RecordingStream:
    ends: list[Reason] = field(default_factory=list)

    def end(self, reason: Reason) -> None:
        self.ends.append(reason)

    def announce(self) -> None:
        raise AssertionError("nothing to announce")


def handshake(number: int) -> MasterHandshake:
    exchange, _ = answer_m1(make_slave(random=SeededRandom(number)).start())
    exchange._sid = SessionId(number.to_bytes(16, "big"))
    return exchange


def live(number: int, *, oid: int | None = None, expires_s: float = 100.0) -> LiveSession:
    session = run_exchange().master_session
    session.sid = SessionId(number.to_bytes(16, "big"))
    state = DeviceState()
    return LiveSession(
        session=session,
        oid=ObjectId((oid or number).to_bytes(16, "big")),
        address=Address(bytes(20)),
        expires_s=expires_s,
        m3_digest=b"",
        m4=SealedAnswer(b""),
        token=Token(bytes(64)),
        records=DeviceRecords([], committed=state, judged=state),
        stream=RecordingStream(),
    )


def ends_of(session: LiveSession) -> list[Reason]:
    assert isinstance(session.stream, RecordingStream)
    return session.stream.ends


def test_half_open_session_is_found_until_its_thirty_seconds_are_over() -> None:
    table = HalfOpenSessions(10, 10)
    exchange = handshake(1)
    table.add(exchange, "10.0.0.1", 0.0)
    assert table.find(exchange.sid, 29.9) is not None
    assert table.find(exchange.sid, 30.0) is None
    assert len(table) == 0


def test_half_open_sessions_are_bounded_over_all_and_per_address() -> None:
    table = HalfOpenSessions(3, 2)
    for number, peer in enumerate(("10.0.0.1", "10.0.0.1")):
        table.require_room(peer, 0.0)
        table.add(handshake(number), peer, 0.0)
    with pytest.raises(BusyError):
        table.require_room("10.0.0.1", 0.0)
    table.require_room("10.0.0.2", 0.0)
    table.add(handshake(9), "10.0.0.2", 0.0)
    table.require_room("10.0.0.3", 0.0)
    assert len(table) == 2


async def test_full_table_of_half_open_sessions_drops_the_oldest_that_is_not_being_admitted() -> None:
    table = HalfOpenSessions(2, 2)
    oldest, second = handshake(1), handshake(2)
    table.add(oldest, "10.0.0.1", 0.0)
    table.add(second, "10.0.0.2", 1.0)
    admitted = table.find(oldest.sid, 1.0)
    assert admitted is not None
    admitted.admission = asyncio.get_running_loop().create_future()  # type: ignore[assignment] # stands for a task
    table.require_room("10.0.0.3", 2.0)
    assert table.find(oldest.sid, 2.0) is admitted
    assert table.find(second.sid, 2.0) is None


async def test_table_in_which_all_are_being_admitted_has_no_room() -> None:
    table = HalfOpenSessions(1, 1)
    exchange = handshake(1)
    table.add(exchange, "10.0.0.1", 0.0)
    only = table.find(exchange.sid, 0.0)
    assert only is not None
    only.admission = asyncio.get_running_loop().create_future()  # type: ignore[assignment] # stands for a task
    with pytest.raises(BusyError):
        table.require_room("10.0.0.2", 0.0)


def test_removed_half_open_session_makes_room_once() -> None:
    table = HalfOpenSessions(1, 1)
    exchange = handshake(1)
    table.add(exchange, "10.0.0.1", 0.0)
    table.remove(exchange.sid)
    table.remove(exchange.sid)
    table.require_room("10.0.0.1", 0.0)
    assert not table._per_site


def test_newer_session_of_a_device_ends_the_older() -> None:
    table = LiveSessions(10)
    older, newer = live(1, oid=7), live(2, oid=7)
    table.add(older)
    table.add(newer)
    assert ends_of(older) == [Reason.REPLACED]
    assert older.is_ended
    assert table.find(older.sid, 0.0) is None
    assert table.of_device(newer.oid) is newer


def test_session_beyond_its_lifetime_is_not_found_and_its_stream_is_told() -> None:
    table = LiveSessions(10)
    session = live(1)
    table.add(session)
    assert table.require(session.sid, 99.9) is session
    with pytest.raises(UnexpectedMessageError):
        table.require(session.sid, 100.0)
    assert ends_of(session) == [Reason.SESSION_EXPIRED]


def test_expire_ends_sessions_that_nobody_asks_for() -> None:
    table = LiveSessions(10)
    short, long = live(1, expires_s=10.0), live(2)
    table.add(short)
    table.add(long)
    table.expire(10.0)
    assert list(table) == [long]


def test_full_table_refuses_others_but_not_its_own_devices() -> None:
    table = LiveSessions(1)
    table.add(live(1))
    table.require_room(ObjectId((1).to_bytes(16, "big")), 0.0)
    with pytest.raises(BusyError):
        table.require_room(ObjectId((2).to_bytes(16, "big")), 0.0)
    table.require_room(ObjectId((2).to_bytes(16, "big")), 100.0)


def test_ending_a_replaced_session_again_leaves_its_successor() -> None:
    table = LiveSessions(10)
    older, newer = live(1, oid=7), live(2, oid=7)
    table.add(older)
    table.add(newer)
    table.end(older, Reason.SESSION_EXPIRED)
    assert table.of_device(newer.oid) is newer
    table.end_all(Reason.SHUTTING_DOWN)
    assert len(table) == 0


def test_secrets_do_not_print() -> None:
    key = PrivateKey.from_secret(bytes.fromhex("77" * 32))
    assert "7777" not in repr(key)
