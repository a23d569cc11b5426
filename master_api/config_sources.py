"""Where settings come from: defaults, ``master.toml`` in the data folder, environment, options; later ones win."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from group_protocol.limits import PAYLOAD_MAX_BYTES
from group_protocol.suites import ALLOWED_OFFERS, Suite
from master_api.config import MasterConfig
from system_ports.settings import load_settings, refuse_not_positive, refuse_unless

ENVIRONMENT_PREFIX = "VGROUP_MASTER_"
"""``VGROUP_MASTER_PORT=3001`` sets ``port``, and so on for every setting."""
DATA_DIR_VARIABLE = "VGROUP_MASTER_DIR"
CONFIG_FILE_NAME = "master.toml"
_ADDRESS = re.compile(r"(0x)?[0-9a-fA-F]{40}")


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """``$VGROUP_MASTER_DIR``, else ``vgroup/master`` in the XDG data folder."""
    if named := environment.get(DATA_DIR_VARIABLE):
        return Path(named).expanduser()
    data_home = environment.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data_home).expanduser() / "vgroup" / "master"


def load_config(
    data_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
) -> MasterConfig:
    """Put the settings together.

    Args:
        data_dir: From the command line; None for the default.
        environment: None for the process's own.
        options: Settings from the command line; a value of None means not given.

    Raises:
        ConfigurationError: An unknown name, or a value of the wrong kind or out of range; it says where it came from.
    """
    environment = os.environ if environment is None else environment
    folder = (data_dir or default_data_dir(environment)).expanduser().absolute()
    config = load_settings(
        MasterConfig(folder),
        folder_field="data_dir",
        path=folder / CONFIG_FILE_NAME,
        environment=environment,
        environment_prefix=ENVIRONMENT_PREFIX,
        options=options or {},
    )
    _refuse_out_of_range(config)
    return config


def _refuse_out_of_range(config: MasterConfig) -> None:
    refuse_not_positive(config, may_be_zero=frozenset({"port", "contract_block"}))
    checks = {
        "port": 0 <= config.port < 2**16,
        "suites": config.suites in ALLOWED_OFFERS or set(config.suites) == set(Suite),
        "aeads": bool(config.aeads) and len(set(config.aeads)) == len(config.aeads),
        "payload_max_bytes": config.payload_max_bytes <= PAYLOAD_MAX_BYTES,
        "checkpoint_records": config.checkpoint_records < 2**32,
        "checkpoint_s": config.checkpoint_s < 2**32,
        "session_lifetime_s": config.session_lifetime_s < 2**32,
        "stream_credit_bytes": config.stream_credit_bytes < 2**32,
        "log_format": config.log_format in {"text", "json"},
        "log_level": config.log_level in {"DEBUG", "INFO", "WARNING", "ERROR"},
        "contract": not config.contract or _ADDRESS.fullmatch(config.contract) is not None,
        "contract_block": config.contract_block >= 0,
        "chain": config.chain == "embedded" or config.chain.startswith(("http://", "https://")),
    }
    refuse_unless(config, checks)
