"""Key files are read only when nobody else can read them."""

from pathlib import Path

import pytest

from chain_gateway.private_files import read_relayer
from group_protocol.errors import ConfigurationError

KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("text", [KEY, f"0x{KEY}\n", f"  {KEY.upper()}  "])
def test_key_is_read(tmp_path: Path, text: str) -> None:
    assert read_relayer(write(tmp_path / "key", text)).address == ADDRESS


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o660])
def test_key_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_relayer(write(tmp_path / "key", KEY, mode))
    assert "chmod 600" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "0x", KEY[:-2], KEY + "00", "0" * 64, "f" * 64, "not hex", "ä"])
def test_file_without_a_key_is_refused_and_its_content_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_relayer(write(tmp_path / "key", text))
    assert not text or text not in str(caught.value)


def test_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_relayer(tmp_path / "key")
    assert caught.value.remedy
