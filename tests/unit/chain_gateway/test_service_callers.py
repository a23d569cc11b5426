"""Who may ask the gateway's service: each signed request once, and only those who are listed."""

from pathlib import Path

import pytest

from chain_gateway.remote.signing import RequestProof, sign_request
from chain_gateway.service.callers import (
    SESSIONS_PER_CALLER_MAX,
    WINDOW,
    CallerList,
    Sessions,
    add_caller,
    read_callers,
    remove_caller,
)
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import ConfigurationError, DecodingError, ReplayError, VerificationError
from tests.support.seeded import SeededRandom

KEY = PrivateKey.from_secret(b"\x01" * 32)
OTHER = PrivateKey.from_secret(b"\x02" * 32)


def proof(session: bytes, number: int) -> RequestProof:
    return sign_request(KEY, session, number, "GET", "/v1/head", b"")


def test_caller_is_recovered_from_what_it_signed() -> None:
    signed = sign_request(KEY, bytes(32), 7, "POST", "/v1/acts/revoke?x=1", b"{}")
    assert signed.recover_caller("POST", "/v1/acts/revoke?x=1", b"{}") == KEY.address
    for method, path, body in (
        ("GET", "/v1/acts/revoke?x=1", b"{}"),
        ("POST", "/v1/acts/revoke?x=2", b"{}"),
        ("POST", "/v1/acts/revoke?x=1", b"{ }"),
    ):
        assert signed.recover_caller(method, path, body) != KEY.address
    assert (
        RequestProof(bytes(32), 8, signed.signature).recover_caller("POST", "/v1/acts/revoke?x=1", b"{}") != KEY.address
    )


def test_headers_come_back_as_they_went() -> None:
    signed = proof(bytes(32), 3)
    headers = signed.to_headers()
    assert RequestProof.parse(*(headers[name] for name in headers)) == signed


@pytest.mark.parametrize("number", ["", "-1", "1.0", "1e3", " 1", str(2**53), "9" * 30, "٣"])
def test_number_that_is_none_is_refused(number: str) -> None:
    headers = proof(bytes(32), 0).to_headers()
    with pytest.raises(DecodingError):
        RequestProof.parse(headers["Vgroup-Session"], number, headers["Vgroup-Signature"])


def test_request_without_a_header_is_refused() -> None:
    values = list(proof(bytes(32), 0).to_headers().values())
    for missing in range(3):
        with pytest.raises(DecodingError):
            RequestProof.parse(*(None if place == missing else value for place, value in enumerate(values)))


def test_number_counts_once_and_in_any_order() -> None:
    sessions = Sessions(SeededRandom(1))
    session = sessions.open()
    for number in (0, 5, 3, 4, WINDOW + 2):
        sessions.count(KEY.address, proof(session, number))
    for number in (0, 2, 3, 4, 5, WINDOW + 2):
        with pytest.raises(ReplayError):
            sessions.count(KEY.address, proof(session, number))
    sessions.count(KEY.address, proof(session, 6))


def test_same_number_counts_for_another_caller_and_in_another_session() -> None:
    sessions = Sessions(SeededRandom(1))
    session = sessions.open()
    sessions.count(KEY.address, proof(session, 0))
    sessions.count(OTHER.address, proof(session, 0))
    sessions.count(KEY.address, proof(sessions.open(), 0))


def test_session_of_another_process_is_refused() -> None:
    session = Sessions(SeededRandom(1)).open()
    with pytest.raises(VerificationError):
        Sessions(SeededRandom(2)).count(KEY.address, proof(session, 0))


def test_invented_session_is_refused() -> None:
    sessions = Sessions(SeededRandom(1))
    session = bytearray(sessions.open())
    session[7] ^= 1
    with pytest.raises(VerificationError):
        sessions.count(KEY.address, proof(bytes(session), 0))


def test_session_that_gave_way_to_newer_ones_never_comes_back() -> None:
    sessions = Sessions(SeededRandom(1))
    opened = [sessions.open() for _ in range(SESSIONS_PER_CALLER_MAX + 2)]
    for session in opened[1:]:
        sessions.count(KEY.address, proof(session, 0))
    for session in opened[:2]:
        for number in (0, 1):
            with pytest.raises(ReplayError):
                sessions.count(KEY.address, proof(session, number))
    sessions.count(KEY.address, proof(opened[2], 1))


def test_strangers_open_sessions_without_a_trace() -> None:
    sessions = Sessions(SeededRandom(1))
    for _ in range(10_000):
        sessions.open()
    assert sessions._of == {}


def test_list_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "callers.txt"
    callers = CallerList(path)
    assert callers.name_of(KEY.address) is None
    add_caller(path, f"0x{KEY.address.hex()}", "ward 3")
    assert callers.name_of(KEY.address) == "ward 3"
    add_caller(path, OTHER.address.hex(), "")
    assert callers.name_of(OTHER.address) == f"0x{OTHER.address.hex()}"
    remove_caller(path, KEY.address.hex())
    assert callers.name_of(KEY.address) is None
    assert read_callers(path).keys() == {OTHER.address}
    assert path.stat().st_mode & 0o777 == 0o600


def test_list_with_a_line_that_is_no_address_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "callers.txt"
    path.write_text(f"# ours\n{KEY.address.hex()} a\nnonsense\n")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"callers\.txt:3"):
        read_callers(path)


def test_list_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "callers.txt"
    add_caller(path, KEY.address.hex(), "a")
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match="written by others"):
        read_callers(path)


@pytest.mark.parametrize(("text", "name"), [("0x12", ""), ("nobody", ""), ("aa" * 20, "two\nlines"), ("aa" * 20, "#")])
def test_caller_that_is_none_is_not_listed(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(ConfigurationError):
        add_caller(tmp_path / "callers.txt", text, name)
    assert not (tmp_path / "callers.txt").exists()


def test_caller_is_listed_once_and_taken_off_once(tmp_path: Path) -> None:
    path = tmp_path / "callers.txt"
    add_caller(path, KEY.address.hex(), "")
    with pytest.raises(ConfigurationError, match="already"):
        add_caller(path, f"0x{KEY.address.hex()}", "again")
    remove_caller(path, KEY.address.hex())
    with pytest.raises(ConfigurationError, match="not on the list"):
        remove_caller(path, KEY.address.hex())
