"""Options that several commands have, and how they ask and print."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.admin_socket import ask_master as ask_running_master
from master_api.admin_socket import is_served
from master_api.config import MasterConfig
from master_api.config_sources import load_config
from master_api.descriptions import JsonObject
from master_api.key_file import PASSPHRASE_VARIABLE

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="The master's folder. Default: $VGROUP_MASTER_DIR or ~/.local/share/vgroup/master."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def make_app() -> typer.Typer:
    """A group of commands."""
    return typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def ask_passphrase() -> str:
    """From the terminal.

    Raises:
        ConfigurationError: There is none.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "the master's key needs its passphrase",
            remedy=f"Set {PASSPHRASE_VARIABLE} or passphrase_file.",
            code=ErrorCode.PASSPHRASE_MISSING,
        )
    answer: str = typer.prompt("Passphrase of the master's key", hide_input=True, err=True)
    return answer


def ask_master(data_dir: Path | None, operation: str, **arguments: object) -> JsonObject:
    """Do an operation of the master whose folder that is."""
    return asyncio.run(_ask_or_operate(configured(data_dir), operation, arguments))


async def _ask_or_operate(config: MasterConfig, operation: str, arguments: JsonObject) -> JsonObject:
    if is_served(config.admin_socket):
        answer = await ask_running_master(config.admin_socket, operation, arguments)
        if answer is not None:
            return answer
    from master_api.operating import operate  # noqa: PLC0415 - the chain takes a second to import

    return await operate(config, operation, arguments, ask_passphrase)


def configured(data_dir: Path | None) -> MasterConfig:
    """The settings of the master in a folder."""
    return load_config(data_dir)


def print_json(value: object) -> None:
    """For programs."""
    typer.echo(json.dumps(value, indent=2))


def print_fields(fields: JsonObject) -> None:
    """One value a line, for people."""
    width = max(map(len, fields))
    for name, value in fields.items():
        typer.echo(f"{name.replace('_', ' '):{width}}  {'–' if value is None else value}")


def print_result(result: JsonObject, *, as_json: bool) -> None:
    """What an operation answered, as JSON or for reading."""
    if as_json:
        print_json(result)
    else:
        print_fields(result)


def print_table(rows: Sequence[JsonObject], columns: Sequence[str]) -> None:
    """Columns as wide as their widest value; wide tables wrap no value, so that an oid can be copied."""
    cells = [list(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
