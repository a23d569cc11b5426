from dataclasses import replace

import pytest

from group_protocol.channels import (
    Channel,
    Direction,
    KeyRatchet,
    Lane,
    OpenedRequest,
    RepeatedRequest,
    parse_stream_opening,
)
from group_protocol.crypto.aead import Aead, SealingKey
from group_protocol.crypto.kdf import derive
from group_protocol.errors import (
    BusyError,
    DecodingError,
    LocalProtocolError,
    ReplayError,
    VerificationError,
)
from group_protocol.identifiers import SessionId
from group_protocol.limits import REPLAY_WINDOW, SEQ_LIMIT
from group_protocol.messages import SealedAnswer, SealedRequest
from tests.support.handshakes import flip, run_exchange

SID = SessionId(b"0123456789abcdef")


def _ratchet(aead: Aead = Aead.A256GCM, lane: Lane | None = None) -> KeyRatchet:
    return KeyRatchet(aead, b"k" * 32, lane or Lane(Channel.DATA, Direction.S2M, SID))


@pytest.mark.parametrize("aead", list(Aead))
def test_unit_opens_only_in_its_own_lane_and_under_its_own_seq(aead: Aead) -> None:
    sealed = _ratchet(aead).seal(7, b"reading")
    assert _ratchet(aead).open(7, sealed) == b"reading"
    for lane in (
        Lane(Channel.STREAM, Direction.S2M, SID),
        Lane(Channel.DATA, Direction.M2S, SID),
        Lane(Channel.DATA, Direction.S2M, SessionId(b"another session.")),
    ):
        with pytest.raises(VerificationError):
            _ratchet(aead, lane).open(7, sealed)
    with pytest.raises(VerificationError):
        _ratchet(aead).open(8, sealed)


@pytest.mark.parametrize("length", [0, 1, 15, 16])
def test_unit_cut_short_is_a_verification_error(length: int) -> None:
    with pytest.raises(VerificationError):
        _ratchet().open(0, _ratchet().seal(0, b"reading")[:length])


def test_next_generation_opens_and_the_old_one_is_gone() -> None:
    sender, receiver = _ratchet(), _ratchet()
    old = sender.seal(5, b"old")
    new = sender.seal(1 << 16, b"new")
    assert receiver.open(1 << 16, new) == b"new"
    with pytest.raises(VerificationError):
        receiver.open(5, old)
    with pytest.raises(LocalProtocolError):
        sender.seal(6, b"back")


def test_generation_that_was_opened_is_gone_on_with_and_leads_to_the_one_after_it() -> None:
    sender, receiver = _ratchet(), _ratchet()
    for seq in (0, 1 << 16, (1 << 16) + 1, 2 << 16, (2 << 16) + 5):
        assert receiver.open(seq, sender.seal(seq, b"reading")) == b"reading"


def test_forged_unit_of_the_next_generation_does_not_move_the_key() -> None:
    sender, receiver = _ratchet(), _ratchet()
    with pytest.raises(VerificationError):
        receiver.open(1 << 16, b"x" * 32)
    assert receiver.open(0, sender.seal(0, b"still here")) == b"still here"


def test_jump_over_a_generation_is_refused_on_both_sides() -> None:
    with pytest.raises(LocalProtocolError):
        _ratchet().seal(2 << 16, b"")
    with pytest.raises(VerificationError):
        _ratchet().open(2 << 16, b"x" * 32)


def test_unit_of_the_generation_after_next_is_refused_even_if_the_next_ones_key_sealed_it() -> None:
    lane = Lane(Channel.DATA, Direction.S2M, SID)
    next_key = SealingKey(Aead.A256GCM, derive(b"k" * 32, "upd"))
    with pytest.raises(VerificationError):
        _ratchet(lane=lane).open(2 << 16, next_key.seal(2 << 16, lane.associated(2), b"reading"))


def test_seq_ends_below_2_to_the_48() -> None:
    last_generation = (SEQ_LIMIT >> 16) - 1
    sender, receiver = _ratchet(), _ratchet()
    for ratchet in (sender, receiver):
        ratchet._install(b"l" * 32, last_generation)
    assert receiver.open(SEQ_LIMIT - 1, sender.seal(SEQ_LIMIT - 1, b"last")) == b"last"
    with pytest.raises(LocalProtocolError):
        sender.seal(SEQ_LIMIT, b"")
    with pytest.raises(VerificationError):
        receiver.open(SEQ_LIMIT, bytes(16))


def test_request_is_answered_under_its_own_seq() -> None:
    exchange = run_exchange()
    sender, receiver = exchange.slave_session.data, exchange.master_session.data
    request = sender.seal_request(b"question")
    opened = receiver.open_request(request)
    assert opened == OpenedRequest(0, b"question")
    assert sender.open_answer(0, receiver.seal_answer(0, b"answer")) == b"answer"


def test_first_control_request_follows_the_ticket() -> None:
    assert run_exchange().slave_session.control.seal_request(b"").seq == 1


def test_repeated_request_gets_the_same_answer_and_is_not_opened_again() -> None:
    exchange = run_exchange()
    request = exchange.slave_session.data.seal_request(b"question")
    receiver = exchange.master_session.data
    receiver.open_request(request)
    with pytest.raises(BusyError):
        receiver.open_request(request)
    answer = receiver.seal_answer(0, b"answer")
    assert receiver.open_request(request) == RepeatedRequest(answer)
    with pytest.raises(LocalProtocolError):
        receiver.seal_answer(0, b"another")


def test_abandoned_request_may_come_again() -> None:
    exchange = run_exchange()
    request = exchange.slave_session.data.seal_request(b"question")
    exchange.master_session.data.open_request(request)
    exchange.master_session.data.abandon_request(0)
    assert exchange.master_session.data.open_request(request) == OpenedRequest(0, b"question")


def test_other_bytes_under_a_used_seq_are_a_replay() -> None:
    exchange = run_exchange()
    request = exchange.slave_session.data.seal_request(b"question")
    exchange.master_session.data.open_request(request)
    with pytest.raises(ReplayError):
        exchange.master_session.data.open_request(replace(request, sealed=flip(request.sealed, 0)))


def test_requests_out_of_order_are_taken_once_within_the_window_only() -> None:
    exchange = run_exchange()
    sender, receiver = exchange.slave_session.data, exchange.master_session.data
    requests = [sender.seal_request(b"%d" % number) for number in range(REPLAY_WINDOW + 2)]
    receiver.open_request(requests[-1])
    with pytest.raises(ReplayError):
        receiver.open_request(requests[0])
    with pytest.raises(ReplayError):
        receiver.open_request(requests[1])
    assert receiver.open_request(requests[2]) == OpenedRequest(2, b"2")
    with pytest.raises(BusyError):
        receiver.open_request(requests[2])


def test_window_remembers_no_more_than_its_size() -> None:
    exchange = run_exchange()
    for number in range(1_000):
        exchange.master_session.data.open_request(exchange.slave_session.data.seal_request(b""))
        exchange.master_session.data.seal_answer(number, b"")
    assert len(exchange.master_session.data._seen) == REPLAY_WINDOW


def test_seq_of_m3_is_no_request_on_control() -> None:
    """M4 was sealed under seq 0: an answer to such a request would use its nonce a second time."""
    exchange = run_exchange()
    exchange.slave_session.control._next_seq = 0
    with pytest.raises(ReplayError):
        exchange.master_session.control.open_request(exchange.slave_session.control.seal_request(b"M5"))


def test_answer_at_the_edge_of_the_window_is_sealed_and_beyond_it_a_replay_error() -> None:
    exchange = run_exchange()
    sender, receiver = exchange.slave_session.data, exchange.master_session.data
    requests = [sender.seal_request(b"%d" % number) for number in range(REPLAY_WINDOW + 1)]
    for request in requests:
        receiver.open_request(request)
    with pytest.raises(ReplayError):
        receiver.seal_answer(0, b"too late")
    assert sender.open_answer(1, receiver.seal_answer(1, b"in time")) == b"in time"


def test_request_that_fills_a_gap_leaves_the_window_where_it_is() -> None:
    exchange = run_exchange()
    sender, receiver = exchange.slave_session.data, exchange.master_session.data
    requests = [sender.seal_request(b"%d" % number) for number in range(REPLAY_WINDOW)]
    for request in (requests[-1], requests[5], requests[0]):
        assert isinstance(receiver.open_request(request), OpenedRequest)
        with pytest.raises(BusyError):
            receiver.open_request(request)


def test_abandoning_what_is_unknown_or_answered_changes_nothing() -> None:
    exchange = run_exchange()
    receiver = exchange.master_session.data
    request = exchange.slave_session.data.seal_request(b"question")
    receiver.abandon_request(0)
    receiver.open_request(request)
    answer = receiver.seal_answer(0, b"answer")
    receiver.abandon_request(0)
    assert receiver.open_request(request) == RepeatedRequest(answer)


@pytest.mark.parametrize("length", [8, 9])
def test_stream_message_with_a_seq_and_no_whole_tag_is_a_verification_error(length: int) -> None:
    with pytest.raises(VerificationError):
        run_exchange().master_session.stream_in.open(bytes(length))


def test_stream_opening_of_nothing_but_sid_and_seq_is_split() -> None:
    assert parse_stream_opening(SID + bytes(8)) == (SID, bytes(8))


def test_forged_request_changes_nothing() -> None:
    exchange = run_exchange()
    receiver = exchange.master_session.data
    with pytest.raises(VerificationError):
        receiver.open_request(SealedRequest(exchange.slave_session.sid, 60_000, b"x" * 32))
    assert receiver.open_request(exchange.slave_session.data.seal_request(b"first")) == OpenedRequest(0, b"first")


def test_answer_reflected_as_a_request_does_not_open() -> None:
    exchange = run_exchange()
    request = exchange.slave_session.data.seal_request(b"question")
    exchange.master_session.data.open_request(request)
    answer = exchange.master_session.data.seal_answer(0, b"answer")
    with pytest.raises(VerificationError):
        exchange.master_session.data.open_request(SealedRequest(request.sid, 1, answer.sealed))
    with pytest.raises(VerificationError):
        exchange.slave_session.data.open_answer(0, SealedAnswer(request.sealed))


def test_request_of_one_channel_does_not_open_in_another() -> None:
    exchange = run_exchange()
    request = exchange.slave_session.data.seal_request(b"question")
    with pytest.raises(VerificationError):
        exchange.master_session.control.open_request(replace(request, seq=1))
    with pytest.raises(VerificationError):
        exchange.master_session.stream_in.open(bytes(8) + request.sealed)


def test_sender_that_begins_a_generation_is_followed() -> None:
    exchange = run_exchange()
    exchange.slave_session.data.begin_generation()
    request = exchange.slave_session.data.seal_request(b"question")
    assert request.seq == 1 << 16
    assert exchange.master_session.data.open_request(request) == OpenedRequest(1 << 16, b"question")
    answer = exchange.master_session.data.seal_answer(1 << 16, b"answer")
    assert exchange.slave_session.data.open_answer(1 << 16, answer) == b"answer"


def test_stream_opening_carries_the_sid_and_the_first_message() -> None:
    exchange = run_exchange()
    sid, message = parse_stream_opening(exchange.slave_session.stream_opening(b"open"))
    assert sid == exchange.master_session.sid
    assert exchange.master_session.stream_in.open(message) == b"open"


@pytest.mark.parametrize("length", [0, 16, 23])
def test_stream_opening_cut_short_is_a_decoding_error(length: int) -> None:
    with pytest.raises(DecodingError):
        parse_stream_opening(b"x" * length)


def test_stream_message_repeated_skipped_or_cut_is_refused() -> None:
    exchange = run_exchange()
    sender, receiver = exchange.slave_session.stream_out, exchange.master_session.stream_in
    first, second, third = sender.seal(b"1"), sender.seal(b"2"), sender.seal(b"3")
    assert receiver.open(first) == b"1"
    for message in (first, third):
        with pytest.raises(ReplayError):
            receiver.open(message)
    with pytest.raises(DecodingError):
        receiver.open(second[:7])
    with pytest.raises(VerificationError):
        receiver.open(flip(second, -1))
    assert receiver.open(second) == b"2"


def test_stream_that_begins_a_generation_is_followed_and_none_may_be_skipped() -> None:
    exchange = run_exchange()
    sender, receiver = exchange.slave_session.stream_out, exchange.master_session.stream_in
    receiver.open(sender.seal(b"1"))
    sender.begin_generation()
    assert receiver.open(sender.seal(b"2")) == b"2"
    with pytest.raises(ReplayError):
        receiver.open((3 << 16).to_bytes(8, "big") + bytes(17))


@pytest.mark.parametrize("channel", ["control", "data", "stream_out"])
def test_generation_begun_twice_with_nothing_sealed_between_is_begun_once(channel: str) -> None:
    exchange = run_exchange()
    sender = getattr(exchange.slave_session, channel)
    sender.begin_generation()
    sender.begin_generation()
    if channel == "stream_out":
        assert exchange.master_session.stream_in.open(sender.seal(b"after two idle hours")) == b"after two idle hours"
    else:
        request = sender.seal_request(b"after two idle hours")
        assert request.seq == 1 << 16
        opened = getattr(exchange.master_session, channel).open_request(request)
        assert opened == OpenedRequest(1 << 16, b"after two idle hours")


@pytest.mark.parametrize("slow_seq", [0, (1 << 16) - 1])
def test_answer_that_later_requests_overtook_is_a_replay_error(slow_seq: int) -> None:
    exchange = run_exchange()
    sender, receiver = exchange.slave_session.data, exchange.master_session.data
    sender._next_seq = slow_seq
    slow = sender.seal_request(b"slow")
    sender.begin_generation()
    quick = sender.seal_request(b"quick")
    receiver.open_request(slow)
    receiver.open_request(quick)
    receiver.seal_answer(quick.seq, b"done")
    with pytest.raises(ReplayError):
        receiver.seal_answer(slow.seq, b"too late")
