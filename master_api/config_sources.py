"""Where settings come from: defaults, ``master.toml``, environment, options; later ones win."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from group_protocol.limits import ASSOCIATION_BATCH_MAX, PAYLOAD_MAX_BYTES
from group_protocol.suites import ALLOWED_OFFERS, Suite
from master_api.config import MasterConfig
from master_api.hosts import split_hosts
from system_ports.settings import Problem, Rule
from system_ports.settings_place import SettingsPlace

_MAY_BE_ZERO = frozenset(
    {"port", "contract_block", "association_window_ms", "commit_delay_s", "signature_processes_max"}
    | {"confirmations", "chain_away_max_s", "anchor_minutes", "device_records_per_s"}
)
_ADDRESS = re.compile(r"(0x)?[0-9a-fA-F]{40}")


def _rules(config: MasterConfig) -> Iterator[Rule]:
    for field in fields(MasterConfig):
        value = getattr(config, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool) and field.name not in _MAY_BE_ZERO:
            yield Rule(field.name, value > 0, "a number above 0")
    suites_are_good = config.suites in ALLOWED_OFFERS or set(config.suites) == set(Suite)
    aeads_are_good = bool(config.aeads) and len(set(config.aeads)) == len(config.aeads)
    chain_is_good = config.chain == "embedded" or config.chain.startswith(("http://", "https://"))
    contract_is_good = not config.contract or _ADDRESS.fullmatch(config.contract) is not None
    yield Rule("host", bool(split_hosts(config.host)), "an address of this machine, several with commas, or *")
    yield Rule("port", 0 <= config.port < 2**16, "from 0 to 65535")
    yield Rule("suites", suites_are_good, 'one of ["H1", "E1"], ["H1"], ["E1"], ["R1"], or all three')
    yield Rule("aeads", aeads_are_good, "one or more of A256GCM and C20P1305, each once")
    yield Rule("payload_max_bytes", config.payload_max_bytes <= PAYLOAD_MAX_BYTES, f"at most {PAYLOAD_MAX_BYTES}")
    for name in ("checkpoint_records", "checkpoint_s", "session_lifetime_s", "stream_credit_bytes"):
        yield Rule(name, getattr(config, name) < 2**32, "below 4294967296")
    yield Rule("log_format", config.log_format in {"text", "json"}, "text or json")
    yield Rule("log_level", config.log_level in {"DEBUG", "INFO", "WARNING", "ERROR"}, "DEBUG, INFO, WARNING or ERROR")
    yield Rule("contract", contract_is_good, "an address: 40 hex digits, with or without 0x")
    batch_is_good = config.association_batch <= ASSOCIATION_BATCH_MAX
    yield Rule("association_batch", batch_is_good, f"at most {ASSOCIATION_BATCH_MAX}")
    for name in sorted(_MAY_BE_ZERO - {"port"}):
        yield Rule(name, getattr(config, name) >= 0, "0 or more")
    for name in ("gateway", "verify_rpc"):
        url = getattr(config, name)
        yield Rule(
            name, not url or url.startswith(("http://", "https://")), "a URL that begins with http:// or https://"
        )
    fallbacks_are_good = all(url.startswith(("http://", "https://")) for url in config.chain_fallback_urls)
    yield Rule("chain_fallback_urls", fallbacks_are_good, "URLs that begin with http:// or https://")
    yield Rule("chain", chain_is_good, "embedded, or a URL that begins with http:// or https://")


_PLACE = SettingsPlace(
    tier="master",
    kind=MasterConfig,
    defaults=MasterConfig,
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
    """``$VGROUP_MASTER_DIR``, else ``vgroup/master`` in the XDG data folder."""
    return _PLACE.default_folder(environment)


def config_file(data_dir: Path, environment: Mapping[str, str]) -> Path:
    """``$VGROUP_MASTER_CONFIG``, else ``master.toml`` in the data folder. It need not exist."""
    return _PLACE.default_file(data_dir, environment)


def load_config(
    data_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
) -> MasterConfig:
    """Put the settings together; see :meth:`SettingsPlace.load`. Raises ConfigurationError."""
    return _PLACE.load(data_dir, environment, options)


def find_problems(path: Path, environment: Mapping[str, str]) -> list[Problem]:
    """All that is wrong with this file and with the environment beside it."""
    return _PLACE.find_problems(path, environment)
