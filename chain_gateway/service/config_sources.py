"""Where settings come from: defaults, ``gateway.toml``, environment, options; later ones win."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from chain_gateway.service.config import ServiceConfig
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from system_ports.settings import (
    Problem,
    Rule,
    Source,
    broken_rules,
    environment_source,
    merge,
    read_source,
    refuse,
    unknown_variables,
)

ENVIRONMENT_PREFIX = "VGROUP_GATEWAY_"
"""``VGROUP_GATEWAY_PORT=3081`` sets ``port``, and so on for every setting."""
DATA_DIR_VARIABLE = "VGROUP_GATEWAY_DIR"
CONFIG_VARIABLE = "VGROUP_GATEWAY_CONFIG"
"""The settings file. Unset: ``gateway.toml`` in the data folder."""
CONFIG_FILE_NAME = "gateway.toml"
_FIXED = frozenset({"data_dir"})
_MAY_BE_ZERO = frozenset(
    {"port", "contract_block", "confirmations", "association_window_ms", "relayer_balance_min_wei"}
)
_ADDRESS = re.compile(r"(0x)?[0-9a-fA-F]{40}")


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """``$VGROUP_GATEWAY_DIR``, else ``vgroup/gateway`` in the XDG data folder."""
    if named := environment.get(DATA_DIR_VARIABLE):
        return Path(named).expanduser()
    data_home = environment.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data_home).expanduser() / "vgroup" / "gateway"


def config_file(data_dir: Path, environment: Mapping[str, str]) -> Path:
    """``$VGROUP_GATEWAY_CONFIG``, else ``gateway.toml`` in the data folder. It need not exist."""
    if named := environment.get(CONFIG_VARIABLE):
        return Path(named).expanduser().absolute()
    return data_dir / CONFIG_FILE_NAME


def load_config(
    data_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
) -> ServiceConfig:
    """Put the settings together.

    Args:
        data_dir: From the command line; None for the default.
        environment: None for the process's own.
        options: Settings from the command line; a value of None means not given.

    Raises:
        ConfigurationError: Unknown names, or values of the wrong kind or out of range; it says where each came from.
    """
    environment = os.environ if environment is None else environment
    folder = (data_dir or default_data_dir(environment)).expanduser().absolute()
    given = {name: value for name, value in (options or {}).items() if value is not None}
    config, problems = _read(folder, config_file(folder, environment), environment, given)
    refuse(problems)
    return config


def find_problems(path: Path, environment: Mapping[str, str]) -> list[Problem]:
    """All that is wrong with this file and with the environment beside it."""
    _, problems = _read(default_data_dir(environment).absolute(), path, environment, {})
    others = (DATA_DIR_VARIABLE, CONFIG_VARIABLE)
    return problems + unknown_variables(ServiceConfig, ENVIRONMENT_PREFIX, environment, others)


def _read(
    folder: Path, path: Path, environment: Mapping[str, str], options: Mapping[str, object]
) -> tuple[ServiceConfig, list[Problem]]:
    file, unreadable = read_source(path)
    variables = environment_source(ServiceConfig, ENVIRONMENT_PREFIX, _FIXED, environment)
    sources = (file, variables, Source("the options", options))
    config, origins, wrong = merge(ServiceConfig(folder), sources, _FIXED, {})
    return config, [*unreadable, *wrong, *broken_rules(_rules(config), config, origins)]


def _rules(config: ServiceConfig) -> Iterator[Rule]:
    for field in fields(ServiceConfig):
        value = getattr(config, field.name)
        if isinstance(value, int | float):
            may_be_zero = field.name in _MAY_BE_ZERO
            words = "0 or more" if may_be_zero else "a number above 0"
            yield Rule(field.name, value > 0 or (may_be_zero and value == 0), words)
    chain_is_good = config.chain == "embedded" or config.chain.startswith(("http://", "https://"))
    contract_is_good = not config.contract or _ADDRESS.fullmatch(config.contract) is not None
    batch_is_good = config.association_batch <= ASSOCIATION_BATCH_MAX
    yield Rule("port", config.port < 2**16, "from 0 to 65535")
    yield Rule("chain", chain_is_good, "embedded, or a URL that begins with http:// or https://")
    fallbacks_are_good = all(url.startswith(("http://", "https://")) for url in config.chain_fallback_urls)
    yield Rule("chain_fallback_urls", fallbacks_are_good, "URLs that begin with http:// or https://")
    yield Rule("contract", contract_is_good, "an address: 40 hex digits, with or without 0x")
    yield Rule("association_batch", batch_is_good, f"at most {ASSOCIATION_BATCH_MAX}")
    yield Rule("log_format", config.log_format in {"text", "json"}, "text or json")
    yield Rule("log_level", config.log_level in {"DEBUG", "INFO", "WARNING", "ERROR"}, "DEBUG, INFO, WARNING or ERROR")
