from dataclasses import dataclass
from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from system_ports.settings import load_settings, refuse_not_positive, refuse_unless


@dataclass(frozen=True)
class Example:
    folder: Path
    port: int = 1
    pause_s: float = 1.5
    is_open: bool = False
    names: tuple[str, ...] = ()


def load(
    tmp_path: Path,
    text: str = "",
    environment: dict[str, str] | None = None,
    options: dict[str, object] | None = None,
) -> Example:
    (tmp_path / "x.toml").write_text(text)
    return load_settings(
        Example(tmp_path),
        folder_field="folder",
        path=tmp_path / "x.toml",
        environment=environment or {},
        environment_prefix="X_",
        options=options or {},
    )


def test_later_sources_win(tmp_path: Path) -> None:
    assert load(tmp_path, "port = 2").port == 2
    assert load(tmp_path, "port = 2", {"X_PORT": "3"}).port == 3
    assert load(tmp_path, "port = 2", {"X_PORT": "3"}, {"port": 4}).port == 4
    assert load(tmp_path, "port = 2", {"X_PORT": "3"}, {"port": None}).port == 3


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("No", False), ("1", True)])
def test_flag_in_the_environment_is_a_word(tmp_path: Path, text: str, flag: bool) -> None:
    assert load(tmp_path, "", {"X_IS_OPEN": text}).is_open is flag


def test_names_in_the_environment_are_parted_by_commas(tmp_path: Path) -> None:
    assert load(tmp_path, "", {"X_NAMES": "a, b"}).names == ("a", "b")
    assert load(tmp_path, 'names = ["a"]', {"X_NAMES": ""}).names == ()


@pytest.mark.parametrize(
    "text", ["folder = '/'", "unknown = 1", "port = true", "port = 1.5", "is_open = 1", "is_open = 'maybe'", "port ="]
)
def test_what_is_no_setting_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.toml"):
        load(tmp_path, text)


def test_numbers_are_above_zero_unless_they_may_be_zero(tmp_path: Path) -> None:
    refuse_not_positive(Example(tmp_path, port=0), may_be_zero=frozenset({"port"}))
    for bad in (Example(tmp_path, port=0), Example(tmp_path, pause_s=-1.0)):
        with pytest.raises(ConfigurationError, match="above 0"):
            refuse_not_positive(bad)
    with pytest.raises(ConfigurationError, match="0 or more"):
        refuse_not_positive(Example(tmp_path, port=-1), may_be_zero=frozenset({"port"}))


def test_check_that_fails_names_setting_and_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="port cannot be 1"):
        refuse_unless(Example(tmp_path), {"port": False, "pause_s": True})
