"""Where settings come from: defaults, ``master.toml`` in the data folder, environment, options; later ones win."""

import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from group_protocol.errors import ConfigurationError
from group_protocol.limits import PAYLOAD_MAX_BYTES
from group_protocol.suites import ALLOWED_OFFERS, Suite
from master_api.config import MasterConfig

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
    path = folder / CONFIG_FILE_NAME
    given = {name: value for name, value in (options or {}).items() if value is not None}
    config = MasterConfig(folder)
    config = _with_settings(config, _read_file(path), str(path))
    config = _with_settings(config, _read_environment(environment), "the environment")
    config = _with_settings(config, given, "the options")
    _refuse_out_of_range(config)
    return config


def _read_file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc


def _read_environment(environment: Mapping[str, str]) -> dict[str, object]:
    variables = {field.name: ENVIRONMENT_PREFIX + field.name.upper() for field in fields(MasterConfig)}
    del variables["data_dir"]
    return {name: environment[variable] for name, variable in variables.items() if variable in environment}


def _with_settings(config: MasterConfig, settings: Mapping[str, object], source: str) -> MasterConfig:
    kinds = typing.get_type_hints(MasterConfig)
    del kinds["data_dir"]
    converted = {}
    for name, value in settings.items():
        if name not in kinds:
            raise ConfigurationError(f"{source}: there is no setting {name!r}")
        try:
            converted[name] = _convert(value, kinds[name])
        except (TypeError, ValueError, KeyError) as exc:
            raise ConfigurationError(f"{source}: {name} cannot be {value!r}") from exc
    return replace(config, **converted)


def _convert(value: Any, kind: Any) -> Any:  # noqa: ANN401 - here untyped settings become typed
    """One setting, as text or TOML gives it, in its field's kind; TypeError, ValueError or KeyError if it cannot be."""
    if isinstance(kind, types.GenericAlias):
        items = value.split(",") if isinstance(value, str) else value
        return tuple(_convert(item, kind.__args__[0]) for item in items)
    if issubclass(kind, Enum):
        return value if isinstance(value, kind) else kind[value.strip().upper()]
    if isinstance(value, str):
        return kind(value.strip())
    if isinstance(value, Path) and kind is str:
        return str(value)
    # bool counts as int in Python, and int("…") of a fraction would cut it.
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(value)
    return kind(value)


def _refuse_out_of_range(config: MasterConfig) -> None:
    for field in fields(MasterConfig):
        value = getattr(config, field.name)
        if isinstance(value, int | float) and not value > 0 and field.name not in {"port", "contract_block"}:
            raise ConfigurationError(f"{field.name} must be above 0, not {value}")
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
    for name, is_good in checks.items():
        if not is_good:
            raise ConfigurationError(f"{name} cannot be {getattr(config, name)!r}")
