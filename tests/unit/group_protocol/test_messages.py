import json
from dataclasses import replace
from typing import Any

import pytest

from group_protocol.encoding import b64encode
from group_protocol.errors import DecodingError
from group_protocol.identifiers import SessionId
from group_protocol.messages import (
    BUSY_BODY,
    REFUSAL_BODY,
    CookieChallenge,
    KeysSessionRequest,
    SealedAnswer,
    SealedRequest,
    parse_keys_session_answer,
)
from group_protocol.suites import Suite
from tests.support.handshakes import Exchange, run_exchange

SID = SessionId(b"0123456789abcdef")


@pytest.fixture(params=list(Suite), scope="module")
def exchange(request: pytest.FixtureRequest) -> Exchange:
    return run_exchange(request.param)


def test_every_message_survives_its_body(exchange: Exchange) -> None:
    assert KeysSessionRequest.from_body(exchange.m1.to_body()) == exchange.m1
    assert parse_keys_session_answer(exchange.m2.to_body()) == exchange.m2
    assert SealedRequest.from_body(exchange.m3.to_body()) == exchange.m3
    assert SealedAnswer.from_body(exchange.m4.to_body()) == exchange.m4


def test_cookie_challenge_survives_its_body() -> None:
    challenge = CookieChallenge(bytes(range(32)))
    assert parse_keys_session_answer(challenge.to_body()) == challenge


@pytest.mark.parametrize("length", [0, 31, 33])
def test_cookie_challenge_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(DecodingError):
        parse_keys_session_answer(CookieChallenge(bytes(length)).to_body())


def _bodies(exchange: Exchange) -> dict[str, tuple[dict[str, Any], Any]]:
    return {
        "M1": (json.loads(exchange.m1.to_body()), KeysSessionRequest.from_body),
        "M2": (json.loads(exchange.m2.to_body()), parse_keys_session_answer),
        "M3": (json.loads(exchange.m3.to_body()), SealedRequest.from_body),
        "M4": (json.loads(exchange.m4.to_body()), SealedAnswer.from_body),
    }


@pytest.mark.parametrize("name", ["M1", "M2", "M3", "M4"])
def test_missing_extra_or_mistyped_field_is_refused(exchange: Exchange, name: str) -> None:
    fields, parse = _bodies(exchange)[name]
    wrong_values: list[Any] = [None, True, 1.5, -1, [], {}, "!", [1], 2**53]
    broken: list[dict[str, Any]] = [{**fields, "extra": "x"}]
    for field in fields:
        broken.append({key: value for key, value in fields.items() if key != field})
        broken += [{**fields, field: wrong} for wrong in wrong_values]
    for body in broken:
        with pytest.raises(DecodingError):
            parse(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("message", "field"),
    [("M1", "sn"), ("M1", "gid"), ("M2", "sid"), ("M2", "mn"), ("M2", "sig"), ("M2", "fin"), ("M3", "sid")],
)
@pytest.mark.parametrize("length", [1, 15, 17, 31, 33, 63, 65])
def test_byte_field_of_another_length_is_refused(exchange: Exchange, message: str, field: str, length: int) -> None:
    fields, parse = _bodies(exchange)[message]
    with pytest.raises(DecodingError):
        parse(json.dumps({**fields, field: b64encode(bytes(length))}).encode())


@pytest.mark.parametrize(
    "suites",
    [
        [],
        ["E1", "H1"],
        ["H1", "R1"],
        ["R1", "E1"],
        ["X1"],
        ["H1", "H1"],
        ["e1"],
        ["H1", "E1", "R1"],
        ["", "E1"],
        ["E1"] * 5,
    ],
)
def test_offer_of_suites_that_may_not_stand_together_is_refused(suites: list[str]) -> None:
    fields = json.loads(run_exchange().m1.to_body())
    with pytest.raises(DecodingError):
        KeysSessionRequest.from_body(json.dumps({**fields, "suites": suites}).encode())


@pytest.mark.parametrize("aeads", [[], ["A128GCM"], ["A256GCM", "A256GCM"], ["a256gcm"], ["x" * 17]])
def test_offer_of_unknown_or_repeated_aeads_is_refused(aeads: list[str]) -> None:
    fields = json.loads(run_exchange().m1.to_body())
    with pytest.raises(DecodingError):
        KeysSessionRequest.from_body(json.dumps({**fields, "aeads": aeads}).encode())


@pytest.mark.parametrize("version", [0, 2, "1"])
def test_another_version_is_refused(version: object) -> None:
    fields = json.loads(run_exchange().m1.to_body())
    with pytest.raises(DecodingError):
        KeysSessionRequest.from_body(json.dumps({**fields, "v": version}).encode())


def test_share_under_the_name_of_another_suite_is_refused() -> None:
    fields = json.loads(run_exchange().m1.to_body())
    fields["slavePubRSAKey"] = fields.pop("share")
    with pytest.raises(DecodingError):
        KeysSessionRequest.from_body(json.dumps(fields).encode())


def test_body_over_its_bound_is_refused() -> None:
    request = SealedRequest(SID, 0, bytes(7_000))
    with pytest.raises(DecodingError, match="more than"):
        SealedRequest.from_body(request.to_body())
    assert SealedRequest.from_body(request.to_body(), max_bytes=20_000) == request


def test_seq_beyond_its_bound_is_refused() -> None:
    with pytest.raises(DecodingError):
        SealedRequest.from_body(SealedRequest(SID, 1 << 48, b"").to_body())


def test_uniform_answers_are_json_documents_with_a_stable_code() -> None:
    assert json.loads(REFUSAL_BODY)["error"]["code"] == "refused"
    assert json.loads(BUSY_BODY)["error"]["code"] == "busy"


def test_cookie_comes_back_with_m1_and_has_32_bytes() -> None:
    m1 = run_exchange().m1
    assert KeysSessionRequest.from_body(replace(m1, cookie=bytes(range(32))).to_body()).cookie == bytes(range(32))
    for length in (0, 31, 33):
        with pytest.raises(DecodingError):
            KeysSessionRequest.from_body(replace(m1, cookie=bytes(length)).to_body())


def test_known_gid_of_16_bytes_comes_back_with_m1() -> None:
    m1 = run_exchange().m1
    assert KeysSessionRequest.from_body(replace(m1, gid=bytes(range(16))).to_body()).gid == bytes(range(16))


def test_answer_is_bounded_by_its_path() -> None:
    answer = SealedAnswer(bytes(7_000))
    with pytest.raises(DecodingError, match="more than"):
        SealedAnswer.from_body(answer.to_body())
    assert SealedAnswer.from_body(answer.to_body(), max_bytes=20_000) == answer
    with pytest.raises(DecodingError, match="more than 5 "):
        SealedAnswer.from_body(answer.to_body(), max_bytes=5)
