"""Where one tier's settings come from: defaults, its file, the environment, the command line; later ones win."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

from system_ports.settings import (
    C,
    Converter,
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


def _as_it_stands(file: Source) -> Source:
    return file


@dataclass(frozen=True, slots=True)
class SettingsPlace(Generic[C]):
    """One tier's file, variables, folder and rules.

    Attributes:
        tier: ``master`` has ``master.toml``, ``VGROUP_MASTER_PORT`` for ``port``, ``VGROUP_MASTER_DIR`` for its folder
            and ``VGROUP_MASTER_CONFIG`` for another file.
        defaults: Makes the settings of a folder that says nothing.
        folder_field: The folder's name among the fields; it is no setting.
        base_variable: The XDG variable below which the folder lies.
        base_default: What that is where it is unset.
        rules: What has to hold of settings that are each of the right kind.
        converters: For settings that are tables; they stand in the file alone.
        prepare: What has to be done to the file's settings first.
    """

    tier: str
    defaults: Callable[[Path], C]
    kind: type[C]
    folder_field: str
    base_variable: str
    base_default: str
    rules: Callable[[C], Iterable[Rule]]
    converters: Mapping[str, Converter] = field(default_factory=dict)
    prepare: Callable[[Source], Source] = _as_it_stands

    @property
    def prefix(self) -> str:
        """What the names of its variables begin with."""
        return f"VGROUP_{self.tier.upper()}_"

    @property
    def folder_variable(self) -> str:
        """Names another folder."""
        return f"{self.prefix}DIR"

    @property
    def file_variable(self) -> str:
        """Names another settings file; the service units say ``/etc/vgroup/TIER.toml``."""
        return f"{self.prefix}CONFIG"

    @property
    def file_name(self) -> str:
        """In the folder, where no other file is named."""
        return f"{self.tier}.toml"

    def default_folder(self, environment: Mapping[str, str]) -> Path:
        """``$VGROUP_TIER_DIR``, else ``vgroup/TIER`` in the XDG folder."""
        if named := environment.get(self.folder_variable):
            return Path(named).expanduser()
        base = environment.get(self.base_variable) or self.base_default
        return Path(base).expanduser() / "vgroup" / self.tier

    def default_file(self, folder: Path, environment: Mapping[str, str]) -> Path:
        """``$VGROUP_TIER_CONFIG``, else ``TIER.toml`` in the folder. It need not exist."""
        if named := environment.get(self.file_variable):
            return Path(named).expanduser().absolute()
        return folder / self.file_name

    def load(
        self,
        folder: Path | None,
        environment: Mapping[str, str] | None,
        options: Mapping[str, object] | None,
        file: Path | None = None,
    ) -> C:
        """Put the settings together.

        Args:
            folder: From the command line; None for the default.
            environment: None for the process's own.
            options: Settings from the command line; a value of None means not given.
            file: From the command line; None for the default.

        Raises:
            ConfigurationError: Unknown names, or values of the wrong kind or out of range; it says where each came
                from.
        """
        environment = os.environ if environment is None else environment
        where = (folder or self.default_folder(environment)).expanduser().absolute()
        given = {name: value for name, value in (options or {}).items() if value is not None}
        config, problems = self._read(where, file or self.default_file(where, environment), environment, given)
        refuse(problems)
        return config

    def find_problems(self, file: Path, environment: Mapping[str, str]) -> list[Problem]:
        """All that is wrong with this file and with the environment beside it."""
        _, problems = self._read(self.default_folder(environment).absolute(), file, environment, {})
        others = (self.folder_variable, self.file_variable)
        return problems + unknown_variables(self.kind, self.prefix, environment, others)

    def _read(
        self, folder: Path, path: Path, environment: Mapping[str, str], options: Mapping[str, object]
    ) -> tuple[C, list[Problem]]:
        fixed = frozenset({self.folder_field})
        file, unreadable = read_source(path)
        variables = environment_source(self.kind, self.prefix, {*fixed, *self.converters}, environment)
        sources = (self.prepare(file), variables, Source("the options", options))
        config, origins, wrong = merge(self.defaults(folder), sources, fixed, self.converters)
        return config, [*unreadable, *wrong, *broken_rules(self.rules(config), config, origins)]
