from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from group_protocol.suites import Suite
from group_protocol.tickets import EvidencePolicy
from master_api.config_sources import default_data_dir, load_config


def test_later_sources_win(tmp_path: Path) -> None:
    (tmp_path / "master.toml").write_text('port = 3001\nhost = "10.0.0.1"\nlog_level = "DEBUG"\n')
    config = load_config(tmp_path, {"VGROUP_MASTER_PORT": "3002", "VGROUP_MASTER_HOST": "10.0.0.2"}, {"port": 3003})
    assert (config.port, config.host, config.log_level) == (3003, "10.0.0.2", "DEBUG")


@pytest.mark.parametrize("name", ["anchor_minutes", "device_records_per_s"])
def test_zero_where_it_means_never_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "master.toml").write_text(f"{name} = 0\n")
    assert getattr(load_config(tmp_path, {}), name) == 0


def test_option_of_none_is_not_given(tmp_path: Path) -> None:
    assert load_config(tmp_path, {}, {"port": None}).port == 3000


def test_names_of_enums_lists_and_numbers_are_read_from_text_and_toml(tmp_path: Path) -> None:
    (tmp_path / "master.toml").write_text('suites = ["E1"]\nevidence_policy = "signed"\nidle_timeout_s = 5\n')
    config = load_config(tmp_path, {"VGROUP_MASTER_SUITES": "H1, E1"})
    assert config.suites == (Suite.H1, Suite.E1)
    assert config.evidence_policy is EvidencePolicy.SIGNED
    assert config.idle_timeout_s == 5.0
    assert config.terms.evidence_policy is EvidencePolicy.SIGNED


@pytest.mark.parametrize(
    "line",
    [
        "prot = 3000",
        'port = "many"',
        "port = 70000",
        "port = -1",
        "port = true",
        "port = 3000.5",
        "half_open_max = 0",
        "body_timeout_s = -1.0",
        "body_timeout_s = nan",
        'suites = ["E1", "H1"]',
        "suites = []",
        'suites = ["X1"]',
        "suites = 7",
        "aeads = []",
        'evidence_policy = "NONE"',
        "payload_max_bytes = 65537",
        'log_format = "xml"',
        'log_level = "LOUD"',
        'chain = "ftp://node"',
        'contract = "0x12"',
        'data_dir = "/elsewhere"',
        "host = 7",
        "= 7",
    ],
)
def test_bad_setting_in_the_file_is_refused_with_its_source(tmp_path: Path, line: str) -> None:
    (tmp_path / "master.toml").write_text(line + "\n")
    with pytest.raises(ConfigurationError) as raised:
        load_config(tmp_path, {})
    assert str(raised.value)


def test_message_names_file_and_setting(tmp_path: Path) -> None:
    (tmp_path / "master.toml").write_text("prot = 3000\n")
    with pytest.raises(ConfigurationError, match=r"master\.toml:1: there is no setting 'prot'"):
        load_config(tmp_path, {})


def test_data_dir_comes_from_the_environment_or_xdg() -> None:
    assert default_data_dir({"VGROUP_MASTER_DIR": "/srv/m"}) == Path("/srv/m")
    assert default_data_dir({"XDG_DATA_HOME": "/home/a/d"}) == Path("/home/a/d/vgroup/master")
    assert default_data_dir({}) == Path("~/.local/share/vgroup/master").expanduser()


def test_all_three_suites_may_be_allowed_at_once(tmp_path: Path) -> None:
    assert load_config(tmp_path, {"VGROUP_MASTER_SUITES": "H1,E1,R1"}).suites == tuple(Suite)
