from dataclasses import replace

import pytest

from group_protocol.channels import Channel, Direction
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import (
    DecodingError,
    LocalProtocolError,
    PairingError,
    RemoteProtocolError,
    UnexpectedMessageError,
    UnknownMasterError,
    VerificationError,
)
from group_protocol.extensions import Standing, TurnedAwayError
from group_protocol.handshake import CookieJar, MasterPolicy, SlaveState
from group_protocol.handshake.master import MasterState
from group_protocol.handshake.transcript import compute_th1, master_digest
from group_protocol.identifiers import GroupId, ObjectId, Signature, Token, derive_object_id
from group_protocol.key_changes import KeyChange, KeyHistory
from group_protocol.messages import CookieChallenge, KeysSessionRequest, SealedAnswer, SealedRequest
from group_protocol.suites import Suite
from group_protocol.tickets import IdentityProof, Ticket
from group_protocol.tokens import issue_token
from tests.support.handshakes import (
    CODE,
    GID,
    MASTER_KEY,
    SLAVE_KEY,
    STRANGER_KEY,
    answer_m1,
    flip,
    make_slave,
    make_ticket,
    receive_m2,
    run_exchange,
    tampered_m2,
)

HISTORY = KeyHistory(
    derive_object_id(STRANGER_KEY.address),
    (KeyChange(SLAVE_KEY.address, 1_800_000_000, Signature(b"o" * 64), Signature(b"n" * 64)),),
)
EVERY_SUITE = pytest.mark.parametrize("suite", list(Suite))


@EVERY_SUITE
@pytest.mark.parametrize("aead", list(Aead))
def test_exchange_between_honest_sides_gives_both_the_same_keys(suite: Suite, aead: Aead) -> None:
    exchange = run_exchange(suite, aead)
    assert exchange.slave.state is SlaveState.ESTABLISHED
    assert exchange.master.state is MasterState.ESTABLISHED
    opened = exchange.master_session.stream_in.open(exchange.slave_session.stream_out.seal(b"up"))
    answered = exchange.slave_session.stream_in.open(exchange.master_session.stream_out.seal(b"down"))
    assert (opened, answered) == (b"up", b"down")


def test_master_without_h1_picks_e1_from_the_first_bytes_of_an_h1_share() -> None:
    slave = make_slave(Suite.H1)
    master, m2 = answer_m1(slave.start(), policy=MasterPolicy(GID, frozenset({Suite.E1})))
    assert m2.suite is Suite.E1
    identity = master.receive_identity(receive_m2(slave, m2))
    assert identity.address == SLAVE_KEY.address


def test_master_picks_the_first_offered_aead_that_it_allows() -> None:
    slave = make_slave(aeads=(Aead.C20P1305, Aead.A256GCM))
    _, m2 = answer_m1(slave.start(), policy=MasterPolicy(GID, frozenset({Suite.E1}), frozenset({Aead.A256GCM})))
    assert m2.aead is Aead.A256GCM


def test_rsa_suite_is_refused_unless_the_policy_names_it() -> None:
    slave = make_slave(Suite.R1)
    with pytest.raises(VerificationError, match="in common"):
        answer_m1(slave.start(), policy=MasterPolicy(GID))


def test_request_that_names_another_group_is_refused() -> None:
    slave = make_slave(gid=GroupId(b"another group..."))
    with pytest.raises(VerificationError, match="another group"):
        answer_m1(slave.start())


# --- every field of M1, seen by the slave when the master's signature covers something else ---


@EVERY_SUITE
@pytest.mark.parametrize("name", ["sn", "share", "gid", "suites", "aeads"])
def test_m1_changed_on_the_way_makes_the_slave_refuse_m2(suite: Suite, name: str) -> None:
    slave = make_slave(suite, gid=GID, aeads=(Aead.A256GCM, Aead.C20P1305))
    m1 = slave.start()
    try:
        _, m2 = answer_m1(_tampered_m1(m1, name))
    except RemoteProtocolError:
        return  # the master saw for itself that the share is no key, or the group not its own
    with pytest.raises(VerificationError):
        receive_m2(slave, m2)
    assert slave.state is SlaveState.FAILED


def _tampered_m1(m1: KeysSessionRequest, name: str) -> KeysSessionRequest:
    if name == "suites":
        other = (Suite.H1,) if m1.suites != (Suite.H1,) else (Suite.E1,)
        return replace(m1, suites=other)
    if name == "aeads":
        return replace(m1, aeads=m1.aeads[1:])
    if name == "gid":
        return replace(m1, gid=b"")
    return replace(m1, **{name: flip(getattr(m1, name), 5)})  # type: ignore[arg-type] # a byte field


# --- every field of M2 ---


@EVERY_SUITE
@pytest.mark.parametrize("name", ["sid", "mn", "share", "sig", "fin"])
@pytest.mark.parametrize("index", [0, -1])
def test_m2_with_a_flipped_bit_is_refused_and_nothing_of_the_slave_is_sent(suite: Suite, name: str, index: int) -> None:
    slave = make_slave(suite)
    _, m2 = answer_m1(slave.start())
    with pytest.raises(RemoteProtocolError):
        slave.receive_keys_session(tampered_m2(m2, name, index))
    assert slave.state is SlaveState.FAILED


def test_m2_with_another_suite_or_aead_than_signed_is_refused() -> None:
    for change in ({"suite": Suite.E1}, {"aead": Aead.C20P1305}):
        slave = make_slave(Suite.H1)
        _, m2 = answer_m1(slave.start())
        with pytest.raises(RemoteProtocolError):
            slave.receive_keys_session(replace(m2, **change))


@pytest.mark.parametrize(("suite", "aead"), [(Suite.E1, Aead.C20P1305), (Suite.H1, Aead.A256GCM)])
def test_m2_in_which_the_master_signed_what_was_not_offered_is_refused(suite: Suite, aead: Aead) -> None:
    slave = make_slave(Suite.E1, aeads=(Aead.A256GCM,))
    m1 = slave.start()
    _, m2 = answer_m1(m1)
    th1 = compute_th1(m1, suite=suite, aead=aead, sid=m2.sid, mn=m2.mn, share_m=m2.share)
    sig = MASTER_KEY.sign_digest(master_digest(th1, MASTER_KEY.address))
    with pytest.raises(VerificationError, match="not offered"):
        slave.receive_keys_session(replace(m2, suite=suite, aead=aead, sig=sig))


def test_request_without_an_aead_in_common_is_refused() -> None:
    m1 = make_slave(aeads=(Aead.A256GCM,)).start()
    with pytest.raises(VerificationError, match="in common"):
        answer_m1(m1, policy=MasterPolicy(GID, aeads=frozenset({Aead.C20P1305})))


def test_identity_is_the_key_that_m3_proved() -> None:
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    identity = master.receive_identity(receive_m2(slave, m2))
    assert (identity.address, identity.public_key) == (SLAVE_KEY.address, SLAVE_KEY.public_key)


def test_m2_signed_by_another_master_is_refused() -> None:
    slave = make_slave()
    _, m2 = answer_m1(slave.start(), key=STRANGER_KEY)
    with pytest.raises(UnknownMasterError, match="is not the master"):
        receive_m2(slave, m2)


def test_m2_of_another_session_is_refused() -> None:
    first, second = make_slave(), make_slave(Suite.H1)
    first.start()
    _, m2 = answer_m1(second.start())
    with pytest.raises(VerificationError):
        first.receive_keys_session(m2)


@pytest.mark.parametrize("suite", [Suite.E1, Suite.H1])
def test_share_that_gives_an_all_zero_secret_is_refused_by_the_master(suite: Suite) -> None:
    m1 = make_slave(suite).start()
    with pytest.raises(VerificationError, match="all-zero"):
        answer_m1(replace(m1, share=bytes(32) + m1.share[32:]))


@EVERY_SUITE
@pytest.mark.parametrize("change", [b"", b"\0" * 31, b"\0" * 4000])
def test_share_of_the_wrong_length_is_refused_by_the_master(suite: Suite, change: bytes) -> None:
    m1 = make_slave(suite).start()
    with pytest.raises(RemoteProtocolError):
        answer_m1(replace(m1, share=change))


# --- M3 ---


@EVERY_SUITE
@pytest.mark.parametrize("index", [0, 64, 65, 100, 129, 130, 150, -1])
def test_m3_with_a_flipped_bit_does_not_open_and_leaves_the_exchange_open(suite: Suite, index: int) -> None:
    slave = make_slave(suite)
    master, m2 = answer_m1(slave.start())
    m3 = receive_m2(slave, m2)
    with pytest.raises(VerificationError):
        master.receive_identity(replace(m3, sealed=flip(m3.sealed, index)))
    assert master.state is MasterState.AWAIT_IDENTITY
    assert master.receive_identity(m3).address == SLAVE_KEY.address


@pytest.mark.parametrize("change", [{"seq": 1}, {"sid": b"another session."}])
def test_m3_with_another_seq_or_sid_is_refused(change: dict[str, object]) -> None:
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    m3 = receive_m2(slave, m2)
    with pytest.raises(UnexpectedMessageError):
        master.receive_identity(replace(m3, **change))  # type: ignore[arg-type] # wrong on purpose


def test_m3_of_another_exchange_is_refused() -> None:
    first = make_slave()
    master, _ = answer_m1(first.start())
    second = make_slave(Suite.H1)
    _, m2 = answer_m1(second.start())
    with pytest.raises(RemoteProtocolError):
        master.receive_identity(receive_m2(second, m2))


def test_second_m3_after_a_verified_one_is_unexpected() -> None:
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    m3 = receive_m2(slave, m2)
    master.receive_identity(m3)
    with pytest.raises(UnexpectedMessageError):
        master.receive_identity(m3)


def test_m3_with_a_signature_of_another_key_fails_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    monkeypatch.setattr(PrivateKey, "sign_digest", lambda _self, digest: _sign_as_stranger(digest))
    m3 = receive_m2(slave, m2)
    with pytest.raises(VerificationError, match="another key"):
        master.receive_identity(m3)
    assert master.state is MasterState.FAILED


_SIGN = PrivateKey.sign_digest


def _sign_as_stranger(digest: bytes) -> bytes:
    return _SIGN(STRANGER_KEY, digest)


@pytest.mark.parametrize("prefix", [0x00, 0x02, 0x05, 0x06, 0x07])
def test_m3_with_a_public_key_of_another_form_is_refused(prefix: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hybrid = bytes([prefix]) + SLAVE_KEY.public_key[1:]
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    monkeypatch.setitem(SLAVE_KEY.__dict__, "public_key", hybrid)
    m3 = receive_m2(slave, m2)
    with pytest.raises(DecodingError):
        master.receive_identity(m3)
    assert master.state is MasterState.FAILED


def test_pairing_proof_under_another_code_is_refused() -> None:
    slave = make_slave(code=flip(CODE, 3))
    master, m2 = answer_m1(slave.start())
    master.receive_identity(receive_m2(slave, m2))
    with pytest.raises(PairingError, match="wrong"):
        master.verify_pairing(CODE)


def test_device_without_pairing_proof_is_not_paired() -> None:
    slave = make_slave(code=None)
    master, m2 = answer_m1(slave.start())
    assert master.receive_identity(receive_m2(slave, m2)).pairing is None
    with pytest.raises(PairingError, match="no pairing proof"):
        master.verify_pairing(CODE)


# --- M4 ---


@EVERY_SUITE
@pytest.mark.parametrize("index", [0, 16, 32, 52, 116, 132, 140, 160, 161, 169, 177, 185, -17, -1])
def test_m4_with_a_flipped_bit_is_refused(suite: Suite, index: int) -> None:
    slave = make_slave(suite)
    master, m2 = answer_m1(slave.start())
    master.receive_identity(receive_m2(slave, m2))
    _, m4 = master.admit(make_ticket())
    with pytest.raises(VerificationError):
        slave.receive_ticket(SealedAnswer(flip(m4.sealed, index)))
    assert slave.state is SlaveState.FAILED


@pytest.mark.parametrize("name", ["gid", "oid", "token"])
def test_ticket_with_another_group_object_or_token_is_refused(name: str) -> None:
    slave = make_slave(gid=GID)
    master, m2 = answer_m1(slave.start())
    master.receive_identity(receive_m2(slave, m2))
    ticket = make_ticket()
    _, m4 = master.admit(replace(ticket, **{name: flip(getattr(ticket, name), 7)}))  # type: ignore[arg-type] # a byte field
    with pytest.raises(VerificationError):
        slave.receive_ticket(m4)


def receive_forged_ticket(ticket: Ticket, gid: GroupId | None) -> Ticket:
    """Let a slave that knows ``gid`` take a ticket that its own master sealed for it, whatever it says."""
    slave = make_slave(gid=gid)
    master, m2 = answer_m1(slave.start())
    master.receive_identity(receive_m2(slave, m2))
    keys = master._secrets.session_keys(m2.aead, m2.sid, master._th2, master._identity_plaintext)
    return slave.receive_ticket(SealedAnswer(keys.ratchet(Direction.M2S, Channel.CONTROL).seal(0, ticket.encode())))


def test_ticket_of_the_known_group_is_taken() -> None:
    assert receive_forged_ticket(make_ticket(), GID) == make_ticket()


@pytest.mark.parametrize("what", ["group", "object", "address"])
def test_ticket_with_a_good_token_of_another_group_object_or_address_is_refused(what: str) -> None:
    ticket = make_ticket()
    if what == "group":
        gid = GroupId(b"another group..!")
        forged = replace(ticket, gid=gid, token=issue_token(MASTER_KEY, gid, ticket.address))
    elif what == "object":
        oid = ObjectId(b"another object.!")
        forged = replace(ticket, oid=oid, token=issue_token(MASTER_KEY, GID, ticket.address, oid=oid))
    else:
        address = STRANGER_KEY.address
        forged = replace(ticket, address=address, token=issue_token(MASTER_KEY, GID, address, oid=ticket.oid))
    with pytest.raises(VerificationError, match=r"another (device|group)"):
        receive_forged_ticket(forged, GID)


def test_second_admission_is_a_local_error() -> None:
    exchange = run_exchange()
    with pytest.raises(LocalProtocolError):
        exchange.master.admit(make_ticket())
    with pytest.raises(LocalProtocolError):
        exchange.master.verify_pairing(CODE)


def test_ticket_for_another_device_is_a_local_error_of_the_master() -> None:
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    master.receive_identity(receive_m2(slave, m2))
    with pytest.raises(LocalProtocolError, match="another device"):
        master.admit(make_ticket(STRANGER_KEY.address))


def test_ticket_whose_token_another_master_signed_is_refused_by_the_slave() -> None:
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    master.receive_identity(receive_m2(slave, m2))
    _, m4 = master.admit(make_ticket(SLAVE_KEY.address, STRANGER_KEY))
    with pytest.raises(VerificationError):
        slave.receive_ticket(m4)


# --- order of steps ---


def test_messages_out_of_order_are_unexpected_and_end_the_exchange() -> None:
    exchange = run_exchange()
    fresh = make_slave()
    with pytest.raises(UnexpectedMessageError):
        fresh.receive_keys_session(exchange.m2)
    assert fresh.state is SlaveState.FAILED
    early = make_slave()
    early.start()
    with pytest.raises(UnexpectedMessageError):
        early.receive_ticket(exchange.m4)
    with pytest.raises(UnexpectedMessageError):
        exchange.slave.receive_ticket(exchange.m4)


def test_session_is_not_there_before_the_ticket() -> None:
    slave = make_slave()
    with pytest.raises(LocalProtocolError):
        _ = slave.session


def test_admission_before_a_verified_m3_is_a_local_error() -> None:
    master, _ = answer_m1(make_slave().start())
    with pytest.raises(LocalProtocolError):
        master.admit(make_ticket())


def test_starting_twice_is_a_local_error() -> None:
    slave = make_slave()
    slave.start()
    with pytest.raises(LocalProtocolError):
        slave.start()


# --- cookies ---


def test_cookie_sent_back_leaves_the_transcript_as_it_was() -> None:
    slave = make_slave()
    m1 = slave.start()
    jar = CookieJar(b"k" * 32)
    again = slave.receive_keys_session(jar.challenge("192.0.2.1", m1, 1_000))
    assert isinstance(again, KeysSessionRequest)
    assert jar.is_valid("192.0.2.1", again, 1_059)
    master, m2 = answer_m1(again)
    assert master.receive_identity(receive_m2(slave, m2)).address == SLAVE_KEY.address


def test_cookie_for_another_peer_m1_or_time_is_invalid() -> None:
    slave = make_slave()
    m1 = slave.start()
    jar = CookieJar(b"k" * 32)
    good = replace(m1, cookie=jar.challenge("192.0.2.1", m1, 1_000).cookie)
    assert jar.is_valid("192.0.2.1", good, 1_000)
    assert not jar.is_valid("192.0.2.2", good, 1_000)
    assert not jar.is_valid("192.0.2.1", replace(good, sn=flip(good.sn, 0)), 1_000)
    assert not jar.is_valid("192.0.2.1", good, 1_000 + 121)
    assert not jar.is_valid("192.0.2.1", m1, 1_000)
    assert not CookieJar(b"x" * 32).is_valid("192.0.2.1", good, 1_000)


def test_cookie_is_good_in_the_first_minute_of_a_clock_that_begins_at_zero() -> None:
    jar = CookieJar(bytes(32))
    m1 = make_slave().start()
    good = replace(m1, cookie=jar.challenge("192.0.2.1", m1, 5).cookie)
    assert jar.is_valid("192.0.2.1", good, 5)
    assert jar.is_valid("192.0.2.1", good, 119)
    assert not jar.is_valid("192.0.2.1", good, 120)


def test_second_cookie_challenge_is_unexpected() -> None:
    slave = make_slave()
    slave.start()
    slave.receive_keys_session(CookieChallenge(bytes(32)))
    with pytest.raises(UnexpectedMessageError):
        slave.receive_keys_session(CookieChallenge(bytes(32)))


def test_master_key_is_in_no_message() -> None:
    exchange = run_exchange(Suite.H1)
    wire = b"".join(message.to_body() for message in (exchange.m1, exchange.m2, exchange.m3, exchange.m4))
    assert MASTER_KEY.secret not in wire
    assert isinstance(exchange.m3, SealedRequest)
    assert SLAVE_KEY.public_key not in exchange.m3.sealed


@pytest.mark.parametrize("software", ["", "1.2.3"])
def test_master_learns_the_version_that_the_slave_runs(software: str) -> None:
    slave = make_slave(software=software)
    master, m2 = answer_m1(slave.start())
    identity = master.receive_identity(receive_m2(slave, m2))
    assert (identity.software, identity.unsupported) == (software, None)


def test_device_that_asks_for_something_unknown_is_proven_and_hears_of_it_from_the_proven_master(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode = IdentityProof.encode
    monkeypatch.setattr(IdentityProof, "encode", lambda proof: encode(proof) + b"\x80\x05\x00\x00")
    slave = make_slave()
    master, m2 = answer_m1(slave.start())
    identity = master.receive_identity(receive_m2(slave, m2))
    assert (identity.address, identity.unsupported) == (SLAVE_KEY.address, 0x8005)
    master.verify_pairing(CODE)
    away = replace(make_ticket(), software="2.0", standing=Standing.UNSUPPORTED, token=Token(bytes(64)))
    _, m4 = master.admit(away)
    with pytest.raises(TurnedAwayError, match=r"runs version 2\.0") as turned_away:
        slave.receive_ticket(m4)
    assert turned_away.value.standing is Standing.UNSUPPORTED
    assert slave.state is SlaveState.FAILED


def test_master_learns_how_the_slave_came_to_its_key() -> None:
    slave = make_slave(oid=HISTORY.oid, key_changes=HISTORY.changes)
    master, m2 = answer_m1(slave.start())
    assert master.receive_identity(receive_m2(slave, m2)).key_history == HISTORY


@pytest.mark.parametrize("oid", [None, HISTORY.oid])
def test_slave_that_never_changed_its_key_tells_no_history(oid: ObjectId | None) -> None:
    slave = make_slave(oid=oid)
    master, m2 = answer_m1(slave.start())
    assert master.receive_identity(receive_m2(slave, m2)).key_history is None
