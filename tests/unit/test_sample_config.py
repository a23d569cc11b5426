import re
import tomllib
from pathlib import Path

import pytest

from chain_gateway.service.config import ServiceConfig
from chain_gateway.service.config_sources import load_config as load_gateway_config
from master_api.config import MasterConfig
from master_api.config_sources import load_config as load_master_config
from slave_client.config import SlaveConfig
from slave_client.config import load_config as load_slave_config
from tools.sample_config import DEPLOY, make_samples


@pytest.mark.parametrize("name", sorted(make_samples()))
def test_sample_is_what_the_settings_say_of_themselves(name: str) -> None:
    assert (DEPLOY / name).read_text("utf-8") == make_samples()[name], "run: python -m tools.sample_config"


def _uncommented(name: str) -> str:
    return "\n".join(
        line.removeprefix("# ") if re.match(r"# (\[|[a-z_]+ = )", line) else line
        for line in (DEPLOY / name).read_text("utf-8").splitlines()
    )


def test_every_line_of_the_masters_sample_may_be_uncommented(tmp_path: Path) -> None:
    text = _uncommented("master.sample.toml")
    assert set(tomllib.loads(text)) == set(MasterConfig.__dataclass_fields__) - {"data_dir"}
    (tmp_path / "master.toml").write_text(text)
    assert load_master_config(tmp_path, {}) == MasterConfig(tmp_path)


def test_every_line_of_the_gateways_sample_may_be_uncommented(tmp_path: Path) -> None:
    text = _uncommented("gateway.sample.toml")
    assert set(tomllib.loads(text)) == set(ServiceConfig.__dataclass_fields__) - {"data_dir"}
    (tmp_path / "gateway.toml").write_text(text)
    assert load_gateway_config(tmp_path, {}) == ServiceConfig(tmp_path)


def test_every_line_of_the_slaves_sample_may_be_uncommented(tmp_path: Path) -> None:
    (tmp_path / "slave.toml").write_text(_uncommented("slave.sample.toml"))
    config = load_slave_config(state_dir=tmp_path, config_file=None, options={}, environment={})
    assert [sensor.kind for sensor in config.sensors] == ["psutil"]
    assert [(handler.kind, handler.options) for handler in config.handlers] == [
        ("command", {"path": "/usr/local/bin/alarm"})
    ]
    assert {
        name
        for name in SlaveConfig.__dataclass_fields__
        if getattr(config, name) != getattr(SlaveConfig(tmp_path), name)
    } == {"sensors", "handlers"}
