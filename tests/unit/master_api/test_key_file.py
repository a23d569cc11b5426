import json
import stat
from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from master_api.key_file import (
    create_key,
    find_passphrase,
    has_key,
    read_key,
    write_keystore,
    write_plain_key,
)
from tests.support.seeded import SeededRandom

KEY = create_key(SeededRandom(1))
CHEAP_SCRYPT = 2


def never_asked() -> str:
    raise AssertionError("the passphrase was asked for")


def test_keystore_opens_with_its_passphrase_only_and_tells_no_secret(tmp_path: Path) -> None:
    path = write_keystore(tmp_path, KEY, "right", scrypt_cost=CHEAP_SCRYPT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEY.secret.hex() not in path.read_text()
    assert json.loads(path.read_text())["crypto"]["kdf"] == "scrypt"
    assert read_key(tmp_path, lambda: "right") == KEY
    with pytest.raises(ConfigurationError, match="passphrase does not open"):
        read_key(tmp_path, lambda: "wrong")


def test_plain_key_opens_without_a_passphrase(tmp_path: Path) -> None:
    path = write_plain_key(tmp_path, KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(tmp_path, never_asked) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_key_that_others_may_reach_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = write_plain_key(tmp_path, KEY)
    path.chmod(mode)
    with pytest.raises(ConfigurationError) as raised:
        read_key(tmp_path, never_asked)
    assert raised.value.remedy == f"Run: chmod 600 {path}"


def test_key_is_never_written_over(tmp_path: Path) -> None:
    write_plain_key(tmp_path, KEY)
    with pytest.raises(ConfigurationError, match="exists already"):
        write_plain_key(tmp_path, create_key(SeededRandom(2)))
    assert read_key(tmp_path, never_asked) == KEY


def test_two_keys_are_refused(tmp_path: Path) -> None:
    write_plain_key(tmp_path, KEY)
    write_keystore(tmp_path, KEY, "right", scrypt_cost=CHEAP_SCRYPT)
    with pytest.raises(ConfigurationError, match="two keys"):
        read_key(tmp_path, never_asked)


def test_missing_key_names_the_command_that_makes_one(tmp_path: Path) -> None:
    assert not has_key(tmp_path)
    with pytest.raises(ConfigurationError) as raised:
        read_key(tmp_path, never_asked)
    assert "vgroup master init" in raised.value.remedy


@pytest.mark.parametrize("content", ["", "zz", "00" * 32, "11" * 31, "ff" * 32, "é"])
def test_damaged_plain_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is damaged"):
        read_key(tmp_path, never_asked)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version":3}', '{"version":9,"crypto":{}}', "7"])
def test_damaged_keystore_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.key.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError):
        read_key(tmp_path, lambda: "right")


def test_passphrase_comes_from_file_then_environment_then_prompt(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from file\nsecond line\n")
    file.chmod(0o600)
    environment = {"VGROUP_PASSPHRASE": "from environment"}
    assert find_passphrase(environment, str(file), never_asked) == "from file"
    assert find_passphrase(environment, "", never_asked) == "from environment"
    assert find_passphrase({}, "", lambda: "from prompt") == "from prompt"
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others may read it"):
        find_passphrase({}, str(file), never_asked)
    with pytest.raises(ConfigurationError, match="empty"):
        find_passphrase({"VGROUP_PASSPHRASE": ""}, "", never_asked)


def test_key_does_not_print() -> None:
    assert KEY.secret.hex() not in repr(KEY)
