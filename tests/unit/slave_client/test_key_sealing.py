from pathlib import Path

import pytest

from slave_client.errors import KeyStoreError
from slave_client.key_sealing import KeySealer, find_sealer
from slave_client.keystore import DeviceKeys, KeyStore
from slave_client.state_directory import StateDirectory
from tests.support.seeded import SeededRandom

SECRET = "c0ffee" * 10


def sealed_store(directory: StateDirectory, secret: str = SECRET) -> KeyStore:
    return KeyStore(directory, KeySealer(secret.encode(), SeededRandom(9)))


@pytest.fixture
def keys(directory: StateDirectory) -> DeviceKeys:
    return sealed_store(directory).make_keys(SeededRandom(1))


def test_sealed_keys_come_back_and_stand_in_no_file(directory: StateDirectory, keys: DeviceKeys) -> None:
    candidate = sealed_store(directory).make_candidate(SeededRandom(2))
    assert sealed_store(directory).load_keys() == keys
    assert sealed_store(directory).load_candidate() == candidate
    for path in directory.path.glob("*.json"):
        for secret in (keys.signing.secret, keys.storage_secret, candidate.signing.secret):
            assert secret.hex() not in path.read_text()


@pytest.mark.usefixtures("keys")
def test_sealed_keys_without_the_secret_or_under_another_say_what_to_do(directory: StateDirectory) -> None:
    for store in (KeyStore(directory), sealed_store(directory, "another secret" * 4)):
        with pytest.raises(KeyStoreError) as caught:
            store.load_keys()
        assert "credential" in caught.value.remedy


@pytest.mark.usefixtures("keys")
def test_sealed_file_under_another_name_is_refused(directory: StateDirectory) -> None:
    device = directory.read("device.json")
    assert device is not None
    directory.replace("candidate.json", device)
    with pytest.raises(KeyStoreError):
        sealed_store(directory).load_candidate()


def test_keys_of_a_device_without_a_secret_are_read_and_sealed_when_next_written(directory: StateDirectory) -> None:
    plain = KeyStore(directory)
    keys = plain.make_keys(SeededRandom(1))
    store = sealed_store(directory)
    assert store.load_keys() == keys
    adopted = store.adopt_candidate(keys, store.make_candidate(SeededRandom(2)))
    assert sealed_store(directory).load_keys() == adopted
    with pytest.raises(KeyStoreError, match="sealed"):
        plain.load_keys()


def test_each_write_has_its_own_salt() -> None:
    sealer = KeySealer(SECRET.encode(), SeededRandom(3))
    assert sealer.seal("a", {"x": 1}) != sealer.seal("a", {"x": 1})


def test_secret_comes_from_the_credential_then_from_the_environment(tmp_path: Path) -> None:
    random = SeededRandom(4)
    (tmp_path / "slave.key").write_text(SECRET + "\n")
    by_credential = find_sealer(random, {"CREDENTIALS_DIRECTORY": str(tmp_path), "VGROUP_KEYSTORE_SECRET": "x" * 64})
    by_variable = find_sealer(random, {"VGROUP_KEYSTORE_SECRET": SECRET})
    assert by_credential is not None
    assert by_variable is not None
    assert by_variable.open("a", by_credential.seal("a", {"x": 1})) == {"x": 1}
    assert find_sealer(random, {}) is None
    with pytest.raises(KeyStoreError, match="under 32"):
        find_sealer(random, {"VGROUP_KEYSTORE_SECRET": "short"})
