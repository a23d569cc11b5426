import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from group_protocol.identifiers import Address, GroupId, ObjectId, Token
from slave_client.device_state import DeviceState, Enrolment, JoinStep
from slave_client.errors import KeyStoreError
from slave_client.keystore import KeyStore, _checksum
from slave_client.state_directory import StateDirectory
from tests.support.seeded import SeededRandom

ENROLMENT = Enrolment(
    GroupId(b"g" * 16), ObjectId(b"o" * 16), Address(b"a" * 20), Token(b"t" * 64), ObjectId(b"m" * 16), 1337,
    Address(b"c" * 20), 3,
)  # fmt: skip
PAIRED = DeviceState(JoinStep.PAIRED, Address(b"m" * 20), "master.ward", 3000, b"c" * 16)


@pytest.fixture
def store(directory: StateDirectory) -> KeyStore:
    return KeyStore(directory)


def test_new_directory_holds_nothing(store: KeyStore) -> None:
    assert (store.load_keys(), store.load_candidate(), store.load_state()) == (None, None, None)


def test_made_keys_load_again(store: KeyStore) -> None:
    made = store.make_keys(SeededRandom(1))
    assert store.load_keys() == made


def test_keys_are_made_once(store: KeyStore) -> None:
    store.make_keys(SeededRandom(1))
    with pytest.raises(KeyStoreError, match="already"):
        store.make_keys(SeededRandom(2))


def test_draw_outside_the_curve_is_drawn_again(store: KeyStore) -> None:
    class HighFirst(SeededRandom):
        is_first = True

        def token_bytes(self, length_bytes: int) -> bytes:
            if self.is_first:
                self.is_first = False
                return b"\xff" * length_bytes
            return super().token_bytes(length_bytes)

    assert store.make_keys(HighFirst(1)).signing.secret != b"\xff" * 32


@pytest.mark.parametrize(
    "state",
    [
        PAIRED,
        PAIRED.enrolled(ENROLMENT),
        PAIRED.enrolled(ENROLMENT).associated(),
        PAIRED.enrolled(ENROLMENT).associated().revoked(),
    ],
    ids=lambda state: state.step.value,
)
def test_state_of_every_step_loads_again(store: KeyStore, state: DeviceState) -> None:
    store.store_state(state)
    assert store.load_state() == state


def test_enrolling_forgets_the_code_and_a_later_ticket_does_not_undo_an_association() -> None:
    enrolled = PAIRED.enrolled(ENROLMENT)
    assert enrolled.code is None
    assert enrolled.step is JoinStep.ENROLLED
    again = enrolled.associated().enrolled(replace(ENROLMENT, sending_epoch=9))
    assert again.step is JoinStep.ASSOCIATED
    assert again.not_associated().step is JoinStep.ENROLLED


def test_candidate_outlives_restarts_and_replaces_the_key_when_adopted(store: KeyStore) -> None:
    keys = store.make_keys(SeededRandom(1))
    candidate = store.make_candidate(SeededRandom(2))
    assert store.make_candidate(SeededRandom(3)) == candidate
    store.mark_asked(candidate)
    asked = store.load_candidate()
    assert asked is not None
    assert asked.was_asked
    adopted = store.adopt_candidate(keys, asked)
    assert adopted.signing == candidate.signing
    assert adopted.storage_secret == keys.storage_secret
    assert store.load_keys() == adopted
    assert store.load_candidate() is None


def test_secrets_do_not_print(store: KeyStore) -> None:
    keys = store.make_keys(SeededRandom(1))
    shown = repr(keys) + repr(PAIRED) + repr(store.make_candidate(SeededRandom(2)))
    for secret in (keys.signing.secret, keys.storage_secret, PAIRED.code or b""):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


@pytest.mark.parametrize("name", ["device.json", "state.json", "candidate.json"])
def test_every_flipped_byte_of_a_file_raises_key_store_error_or_changes_nothing(
    store: KeyStore, directory: StateDirectory, name: str
) -> None:
    store.make_keys(SeededRandom(1))
    store.make_candidate(SeededRandom(2))
    store.store_state(PAIRED.enrolled(ENROLMENT))
    good = (directory.path / name).read_bytes()
    expected = _load_all(store)
    for at in range(len(good)):
        (directory.path / name).write_bytes(good[:at] + bytes([good[at] ^ 0x01]) + good[at + 1 :])
        with suppress(KeyStoreError):
            assert _load_all(store) == expected, at


@pytest.mark.parametrize("name", ["device.json", "state.json", "candidate.json"])
@pytest.mark.parametrize("kept", [0, 1, 40, -1, -2])
def test_truncated_file_raises_key_store_error(
    store: KeyStore, directory: StateDirectory, name: str, kept: int
) -> None:
    store.make_keys(SeededRandom(1))
    store.make_candidate(SeededRandom(2))
    store.store_state(PAIRED)
    path: Path = directory.path / name
    path.write_bytes(path.read_bytes().rstrip()[:kept])
    with pytest.raises(KeyStoreError, match="damaged"):
        _load_all(store)


@pytest.mark.parametrize(
    "change",
    [
        {"step": "elsewhere"},
        {"port": "3000"},
        {"port": True},
        {"master": "zz"},
        {"master": "00"},
        {"code": "00"},
        {"host": 1},
    ],
)
def test_state_with_good_checksum_but_wrong_fields_raises_key_store_error(
    store: KeyStore, change: dict[str, object]
) -> None:
    fields = PAIRED.to_fields() | change
    store._store("state.json", fields)
    with pytest.raises(KeyStoreError, match="damaged"):
        store.load_state()


def test_file_of_another_version_says_so(store: KeyStore) -> None:
    store._store("state.json", {"version": 2})
    with pytest.raises(KeyStoreError, match="version"):
        store.load_state()


def test_file_without_a_version_says_so(store: KeyStore, directory: StateDirectory) -> None:
    directory.replace("state.json", json.dumps({"check": _checksum({})}).encode())
    with pytest.raises(KeyStoreError, match="version"):
        store.load_state()


def test_files_are_readable_json_with_nothing_but_what_is_needed(store: KeyStore, directory: StateDirectory) -> None:
    store.make_keys(SeededRandom(1))
    fields = json.loads((directory.path / "device.json").read_bytes())
    assert set(fields) == {"version", "secret", "storage_secret", "check"}


def _load_all(store: KeyStore) -> tuple[object, object, object]:
    return store.load_keys(), store.load_candidate(), store.load_state()
