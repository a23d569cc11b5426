"""Settings as every tier reads them: defaults, a TOML file, the environment, options; later ones win.

A settings class is a frozen dataclass. Reading never stops at the first mistake: whoever mends a file wants to hear of
all of them, each with its line and with what to write instead.
"""

import difflib
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar, get_type_hints

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError

SYSTEM_FOLDER: Final = Path("/etc/vgroup")
"""Where a machine's settings are; the service units name their files there."""

_KEY: Final = re.compile(r"""\s*(?:\[\[?\s*)?["']?([A-Za-z0-9_-]+)["']?\s*(?:=|\]\]?)""")
_PLACE: Final = re.compile(r"\s*\(at line (\d+), column \d+\)")
_SUGGESTION_CUTOFF: Final = 0.6


class _Settings(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


C = TypeVar("C", bound=_Settings)
Converter = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings.

    Attributes:
        source: The file, or "the environment", or "the options".
        line: Of the file, from 1; None where there is none.
        message: What is wrong.
        remedy: What to write instead.
    """

    source: str
    line: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        """``/etc/vgroup/master.toml:3: there is no setting 'prot'``."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Source:
    """Settings from one place, as they stand there.

    Attributes:
        lines: The line of each setting, where the place is a file.
    """

    name: str
    settings: Mapping[str, object]
    lines: Mapping[str, int] = field(default_factory=dict)

    def problem(self, setting: str, message: str, remedy: str) -> Problem:
        """Something is wrong with this setting here."""
        return Problem(self.name, self.lines.get(setting), message, remedy)


@dataclass(frozen=True, slots=True)
class Rule:
    """A value that a setting may have, in words for whoever chose another."""

    setting: str
    is_kept: bool
    allowed: str


def read_source(path: Path) -> tuple[Source, list[Problem]]:
    """A TOML file. One that is missing gives no settings; one that cannot be read gives its problem."""
    empty = Source(str(path), {})
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return empty, []
    except (OSError, UnicodeDecodeError) as exc:
        return empty, [Problem(str(path), None, f"cannot be read: {exc}", "Mend the file or its permissions.")]
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        place = _PLACE.search(str(exc))
        message = f"is not TOML: {_PLACE.sub('', str(exc))}"
        line = int(place[1]) if place else None
        return empty, [Problem(str(path), line, message, 'Write: name = value, and text in "quotes".')]
    return Source(str(path), settings, _find_lines(text)), []


def environment_source(config: type[C], prefix: str, fixed: Iterable[str], environment: Mapping[str, str]) -> Source:
    """``PREFIX_NAME=…`` for every setting but the fixed ones."""
    variables = {item.name: prefix + item.name.upper() for item in fields(config) if item.name not in set(fixed)}
    settings = {name: environment[variable] for name, variable in variables.items() if variable in environment}
    return Source("the environment", settings)


def unknown_variables(
    config: type[C], prefix: str, environment: Mapping[str, str], others: Iterable[str]
) -> list[Problem]:
    """Variables with the prefix that set nothing: most likely misspelt."""
    known = {prefix + item.name.upper() for item in fields(config)} | set(others)
    return [
        Problem("the environment", None, f"{name} sets nothing", _suggest(name, known))
        for name in sorted(environment)
        if name.startswith(prefix) and name not in known
    ]


def merge(
    config: C, sources: Sequence[Source], fixed: Iterable[str], converters: Mapping[str, Converter]
) -> tuple[C, dict[str, Source], list[Problem]]:
    """Put the sources over the defaults.

    Args:
        config: The defaults.
        sources: Later ones win.
        fixed: Fields that are no settings.
        converters: For settings that the kind of their field does not say how to read; they raise TypeError, ValueError
            or ConfigurationError.

    Returns:
        The settings, where each that was given came from, and what is wrong. A wrong one keeps its default.
    """
    kinds = {name: kind for name, kind in get_type_hints(type(config)).items() if name not in set(fixed)}
    origins: dict[str, Source] = {}
    problems: list[Problem] = []
    for source in sources:
        for name, value in source.settings.items():
            if name not in kinds:
                problems.append(source.problem(name, f"there is no setting {name!r}", _suggest(name, kinds)))
                continue
            convert = converters.get(name)
            try:
                converted = convert(value) if convert else _convert(value, kinds[name])
            except ConfigurationError as exc:
                problems.append(source.problem(name, str(exc), exc.remedy))
                continue
            except (TypeError, ValueError, KeyError):
                message, remedy = f"{name} cannot be {value!r}", f"It takes {_describe_kind(kinds[name])}."
                problems.append(source.problem(name, message, remedy))
                continue
            config = _with(config, name, converted)
            origins[name] = source
    return config, origins, problems


def broken_rules(rules: Iterable[Rule], config: _Settings, origins: Mapping[str, Source]) -> list[Problem]:
    """What is of the right kind and still cannot be."""
    default = Source("the defaults", {})
    return [
        origins.get(rule.setting, default).problem(
            rule.setting, f"{rule.setting} cannot be {_show(getattr(config, rule.setting))}", f"It is {rule.allowed}."
        )
        for rule in rules
        if not rule.is_kept
    ]


def refuse(problems: Sequence[Problem]) -> None:
    """Raise ConfigurationError with all problems, if there are any."""
    if not problems:
        return
    first, *others = problems
    if not others:
        raise ConfigurationError(str(first), remedy=first.remedy, code=ErrorCode.SETTING_WRONG)
    lines = [f"{problem}\n    {problem.remedy}" if problem.remedy else str(problem) for problem in problems]
    raise ConfigurationError(
        f"{len(problems)} settings are wrong:\n  " + "\n  ".join(lines),
        remedy="Then look again: vgroup config check",
        code=ErrorCode.SETTING_WRONG,
    )


def _with(config: C, name: str, value: object) -> C:
    return replace(config, **{name: value})


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=_SUGGESTION_CUTOFF)
    return f"Did you mean {close[0]}?" if close else "Remove it; deploy/*.sample.toml lists every setting."


def _convert(value: Any, kind: Any) -> Any:  # noqa: ANN401 - here untyped settings become typed
    """One setting, as text or TOML gives it, in its field's kind; TypeError, ValueError or KeyError if it cannot be."""
    if isinstance(kind, types.GenericAlias):
        items = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise TypeError(value)
        return tuple(_convert(item, kind.__args__[0]) for item in items)
    if issubclass(kind, Enum):
        return value if isinstance(value, kind) else kind[value.strip().upper().replace("-", "_")]
    if isinstance(value, str):
        return _from_text(value.strip(), kind)
    if isinstance(value, Path) and kind is str:
        return str(value)
    # bool counts as int in Python, and int(…) of a fraction would cut it.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number if kind is float else isinstance(value, kind) and (is_number or kind is bool)):
        raise TypeError(value)
    return kind(value)


def _from_text(value: str, kind: type) -> object:
    if kind is bool:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[value.lower()]
    return kind(value)


def _describe_kind(kind: Any) -> str:  # noqa: ANN401 - a type hint
    if isinstance(kind, types.GenericAlias):
        return f"a list of: {_names(kind.__args__[0])}" if _is_enum(kind.__args__[0]) else "a list"
    if _is_enum(kind):
        return f"one of: {_names(kind)}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes"}
    return words.get(kind, "another kind of value")


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _names(kind: type[Enum]) -> str:
    return ", ".join(member.name for member in kind)


def _show(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(item.name if isinstance(item, Enum) else str(item) for item in value) + "]"
    return value.name if isinstance(value, Enum) else repr(value)


def _find_lines(text: str) -> dict[str, int]:
    """The line on which each key or table first begins."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _KEY.match(line):
            lines.setdefault(match[1], number)
    return lines
