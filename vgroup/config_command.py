"""``vgroup config``: look at settings files before a service does."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

import chain_gateway.service.config_sources as gateway_settings
import master_api.config_sources as master_settings
import slave_client.config as slave_settings
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.exit_codes import ExitCode
from system_ports.settings import SYSTEM_FOLDER, Problem

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

FindProblems = Callable[[Path, Mapping[str, str]], list[Problem]]
TIERS: Final[Mapping[str, FindProblems]] = {
    "master": master_settings.find_problems,
    "slave": slave_settings.find_problems,
    "gateway": gateway_settings.find_problems,
}


@app.callback()
def config() -> None:
    """Look at settings files before a service does."""


@app.command("check")
def check_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Default: those in /etc/vgroup, and those of this user."),
    ] = None,
    *,
    tier: Annotated[
        str | None, typer.Option("--as", help="master, slave or gateway. Default: as the file's name says.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Name everything that is wrong in settings files, with its line and what to write instead.

    Variables in the environment count too, as they do for the service.
    """
    chosen = [(path, tier or _tier_of(path)) for path in files] if files else _find_files(os.environ, SYSTEM_FOLDER)
    problems: dict[Path, list[Problem]] = {}
    for path, name in chosen:
        if name not in TIERS:
            raise ConfigurationError(
                f"--as {name} is no tier", remedy=f"Say one of: {', '.join(TIERS)}.", code=ErrorCode.ARGUMENT_WRONG
            )
        if not path.exists():
            raise ConfigurationError(f"there is no {path}", remedy="Check its name.", code=ErrorCode.FILE_UNUSABLE)
        problems[path] = TIERS[name](path, os.environ)
    if as_json:
        listed = {str(path): [_as_fields(problem) for problem in found] for path, found in problems.items()}
        typer.echo(json.dumps(listed))
    else:
        _print(problems)
    if any(problems.values()):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _as_fields(problem: Problem) -> dict[str, object]:
    return asdict(problem) | {"code": ErrorCode.SETTING_WRONG}


def _print(problems: Mapping[Path, list[Problem]]) -> None:
    if not problems:
        typer.echo(f"There is no settings file, so every setting is at its default. {SYSTEM_FOLDER} is one place.")
    for path, found in problems.items():
        if not found:
            typer.echo(f"{path}: good")
        for problem in found:
            typer.echo(f"{problem}\n    {problem.remedy}")
    if any(problems.values()):
        typer.echo(f"More: vgroup explain {ErrorCode.SETTING_WRONG}")


def _tier_of(path: Path) -> str:
    """The tier named between the dots: ``master`` for master.toml, master.sample.toml, ward-3.master.toml."""
    named = [name for name in TIERS if name in path.name.split(".")]
    if len(named) != 1:
        raise ConfigurationError(
            f"{path} does not say by its name whose settings it holds",
            remedy=f"Add --as {' or --as '.join(TIERS)}.",
            code=ErrorCode.ARGUMENT_WRONG,
        )
    return named[0]


def _find_files(environment: Mapping[str, str], system_folder: Path) -> list[tuple[Path, str]]:
    """The machine's files and the user's own, as far as there are any."""
    master_folder = master_settings.default_data_dir(environment).absolute()
    slave_folder = slave_settings.default_state_dir(environment).absolute()
    candidates = [(system_folder / f"{name}.toml", name) for name in TIERS]
    candidates.append((master_settings.config_file(master_folder, environment), "master"))
    candidates.append((slave_settings.default_config_file(slave_folder, environment), "slave"))
    gateway_folder = gateway_settings.default_data_dir(environment).absolute()
    candidates.append((gateway_settings.config_file(gateway_folder, environment), "gateway"))
    return [(path, name) for path, name in dict.fromkeys(candidates) if path.exists()]
