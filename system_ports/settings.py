"""Settings of a program: its dataclass's defaults, a TOML file, the environment, options; later ones win.

A program's settings are one frozen dataclass whose fields are all simple (text, numbers, paths, enums and tuples of
them) but for its first, the folder, which says where the file is and is no setting itself.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from group_protocol.errors import ConfigurationError

Settings = TypeVar("Settings")


def load_settings(
    start: Settings,
    *,
    folder_field: str,
    path: Path,
    environment: Mapping[str, str],
    environment_prefix: str,
    options: Mapping[str, object],
) -> Settings:
    """Put settings together.

    Args:
        start: The defaults, with the folder.
        folder_field: Name of the field that is no setting.
        path: The TOML file; it may be missing.
        environment: Variables; ``PREFIX_PORT=3001`` sets ``port``.
        environment_prefix: With its underscore.
        options: From the command line; a value of None means not given.

    Raises:
        ConfigurationError: An unknown name, or a value of the wrong kind; it says where it came from.
    """
    names = [field.name for field in dataclasses.fields(typing.cast("Any", start)) if field.name != folder_field]
    variables = {name: environment_prefix + name.upper() for name in names}
    found = {name: environment[variable] for name, variable in variables.items() if variable in environment}
    given = {name: value for name, value in options.items() if value is not None}
    settings = _with_settings(start, names, _read_file(path), str(path))
    settings = _with_settings(settings, names, found, "the environment")
    return _with_settings(settings, names, given, "the options")


def refuse_not_positive(settings: object, *, may_be_zero: frozenset[str] = frozenset()) -> None:
    """Every number is above 0, but for those that may be 0. Raises ConfigurationError."""
    for field in dataclasses.fields(typing.cast("Any", settings)):
        value = getattr(settings, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            is_good = value >= 0 if field.name in may_be_zero else value > 0
            if not is_good:
                least = "0 or more" if field.name in may_be_zero else "above 0"
                raise ConfigurationError(f"{field.name} must be {least}, not {value}")


def refuse_unless(settings: object, checks: Mapping[str, bool]) -> None:
    """Each setting that is named passes its check. Raises ConfigurationError."""
    for name, is_good in checks.items():
        if not is_good:
            raise ConfigurationError(f"{name} cannot be {getattr(settings, name)!r}")


def _read_file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc


def _with_settings(start: Settings, names: list[str], settings: Mapping[str, object], source: str) -> Settings:
    kinds = typing.get_type_hints(type(start))
    converted = {}
    for name, value in settings.items():
        if name not in names:
            raise ConfigurationError(f"{source}: there is no setting {name!r}")
        try:
            converted[name] = _convert(value, kinds[name])
        except (TypeError, ValueError, KeyError) as exc:
            raise ConfigurationError(f"{source}: {name} cannot be {value!r}") from exc
    replaced: Settings = dataclasses.replace(typing.cast("Any", start), **converted)
    return replaced


def _convert(value: Any, kind: Any) -> Any:  # noqa: ANN401 - here untyped settings become typed
    """One setting, as text or TOML gives it, in its field's kind; TypeError, ValueError or KeyError if it cannot be."""
    if isinstance(kind, types.GenericAlias):
        items = [item for item in value.split(",") if item.strip()] if isinstance(value, str) else value
        return tuple(_convert(item, kind.__args__[0]) for item in items)
    if kind is bool:
        return _convert_flag(value)
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


def _convert_flag(value: object) -> bool:
    """TOML's true and false; in the environment also yes and no, 1 and 0."""
    if isinstance(value, str):
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[value.strip().lower()]
    if not isinstance(value, bool):
        raise TypeError(value)
    return value
