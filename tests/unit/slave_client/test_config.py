from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from group_protocol.suites import Suite
from slave_client.config import SensorConfig, SlaveConfig, default_state_dir, load_config


def load(
    tmp_path: Path, *, text: str = "", environment: dict[str, str] | None = None, **options: object
) -> SlaveConfig:
    (tmp_path / "slave.toml").write_text(text)
    return load_config(state_dir=tmp_path, config_file=None, options=options, environment=environment or {})


def test_nothing_given_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == SlaveConfig(tmp_path)


def test_options_win_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    environment = {"VGROUP_SLAVE_BATCH_S": "2", "VGROUP_SLAVE_VIA": "data"}
    config = load(tmp_path, text="batch_s = 1.5\nstatus_s = 3\n", environment=environment, via="stream", suites=None)
    assert (config.batch_s, config.status_s, config.via) == (2.0, 3.0, "stream")


def test_sensors_come_from_tables_of_the_file(tmp_path: Path) -> None:
    text = '[[sensor]]\nkind = "replay"\npath = "a.csv"\nrate_hz = 100\nrepeat = true\n[[sensor]]\nkind = "psutil"\n'
    assert load(tmp_path, text=text).sensors == (
        SensorConfig("replay", {"path": "a.csv", "rate_hz": "100", "repeat": "yes"}),
        SensorConfig("psutil", {}),
    )


@pytest.mark.parametrize("value", ["H1,E1", "H1 E1"])
def test_suites_are_read_as_text(tmp_path: Path, value: str) -> None:
    assert load(tmp_path, suites=value).suites == (Suite.H1, Suite.E1)


@pytest.mark.parametrize(
    "text",
    [
        "via = 'pigeon'",
        "via = 3",
        "suites = ['E1', 'H1']",
        "suites = ['X9']",
        "batch_readings = 0",
        "batch_readings = 1025",
        "batch_readings = 1.5",
        "batch_readings = true",
        "batch_s = -1",
        "batch_s = 'soon'",
        "batch_s = nan",
        "commit_s = []",
        "buffer_max_mb = 0",
        "buffer_max_hours = inf",
        "colour = 'red'",
        "state_dir = '/elsewhere'",
        "sensor = 3",
        "[[sensor]]\npath = 'a'",
        "not toml",
    ],
)
def test_wrong_setting_in_the_file_raises_configuration_error_with_a_remedy(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text=text)
    assert caught.value.remedy


def test_wrong_setting_in_the_environment_raises_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="environment"):
        load(tmp_path, environment={"VGROUP_SLAVE_BATCH_READINGS": "many"})


def test_named_file_that_is_missing_raises_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no"):
        load_config(state_dir=tmp_path, config_file=tmp_path / "gone.toml", options={}, environment={})


def test_state_directory_follows_the_environment() -> None:
    assert default_state_dir({"VGROUP_SLAVE_DIR": "/var/lib/vg"}) == Path("/var/lib/vg")
    assert default_state_dir({"XDG_STATE_HOME": "/s"}) == Path("/s/vgroup/slave")
    assert default_state_dir({}) == Path("~/.local/state/vgroup/slave").expanduser()
