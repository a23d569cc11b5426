"""Where settings come from: defaults, ``gateway.toml``, environment, options; later ones win."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from chain_gateway.service.config import ServiceConfig
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from system_ports.settings import Problem, Rule
from system_ports.settings_place import SettingsPlace

_MAY_BE_ZERO = frozenset(
    {"port", "contract_block", "confirmations", "association_window_ms", "relayer_balance_min_wei"}
)
_ADDRESS = re.compile(r"(0x)?[0-9a-fA-F]{40}")


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


_PLACE = SettingsPlace(
    tier="gateway",
    kind=ServiceConfig,
    defaults=ServiceConfig,
    folder_field="data_dir",
    base_variable="XDG_DATA_HOME",
    base_default="~/.local/share",
    rules=_rules,
)
ENVIRONMENT_PREFIX = _PLACE.prefix
DATA_DIR_VARIABLE = _PLACE.folder_variable
CONFIG_VARIABLE = _PLACE.file_variable
CONFIG_FILE_NAME = _PLACE.file_name


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """``$VGROUP_GATEWAY_DIR``, else ``vgroup/gateway`` in the XDG data folder."""
    return _PLACE.default_folder(environment)


def config_file(data_dir: Path, environment: Mapping[str, str]) -> Path:
    """``$VGROUP_GATEWAY_CONFIG``, else ``gateway.toml`` in the data folder. It need not exist."""
    return _PLACE.default_file(data_dir, environment)


def load_config(
    data_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
) -> ServiceConfig:
    """Put the settings together; see :meth:`SettingsPlace.load`. Raises ConfigurationError."""
    return _PLACE.load(data_dir, environment, options)


def find_problems(path: Path, environment: Mapping[str, str]) -> list[Problem]:
    """All that is wrong with this file and with the environment beside it."""
    return _PLACE.find_problems(path, environment)
