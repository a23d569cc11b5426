"""``vgroup doctor``: looks at the master or the device of this machine, or at both, and says what to do."""

import asyncio
import json
import os
from collections.abc import Coroutine
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.exit_codes import ExitCode
from system_ports.findings import Finding, Level

_MARKS: Final = {Level.GOOD: ("✓", "green"), Level.NOTE: ("!", "yellow"), Level.BAD: ("✗", "bold red")}


def doctor(
    *,
    data_dir: Annotated[Path | None, typer.Option(help="The master's folder. Default: as for vgroup master.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The device's folder. Default: as for vgroup slave.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at clock, disk, permissions, port, master, chain, contract, membership and buffer. Changes nothing.

    Without options it looks at whatever of the two this machine has. Exit status 1 if something does not work.
    """
    found = {side: asyncio.run(look) for side, look in _choose(data_dir, state_dir).items()}
    if as_json:
        typer.echo(json.dumps({side: [asdict(one) for one in findings] for side, findings in found.items()}, indent=1))
    else:
        _show(found)
    if any(one.level is Level.BAD for findings in found.values() for one in findings):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _choose(data_dir: Path | None, state_dir: Path | None) -> dict[str, Coroutine[Any, Any, list[Finding]]]:
    looks: dict[str, Coroutine[Any, Any, list[Finding]]] = {}
    has_master_code = find_spec("sqlalchemy") is not None
    is_everything = data_dir is None and state_dir is None
    if data_dir is not None or (is_everything and has_master_code):
        from master_api.config_sources import load_config as load_master_config  # noqa: PLC0415 - a device has none
        from master_api.diagnosis import diagnose_master  # noqa: PLC0415 - as above

        config = load_master_config(data_dir)
        if data_dir is not None or config.data_dir.exists():
            looks["master"] = diagnose_master(config)
    if state_dir is not None or is_everything:
        from slave_client.config import default_state_dir, load_config  # noqa: PLC0415 - only who asks pays for it
        from slave_client.diagnosis import diagnose_slave  # noqa: PLC0415 - as above

        if state_dir is not None or default_state_dir(os.environ).exists():
            looks["slave"] = diagnose_slave(load_config(state_dir=state_dir, config_file=None, options={}))
    if not looks:
        raise ConfigurationError(
            "there is neither a master nor a device on this machine",
            remedy="Begin with vgroup master init, or vgroup slave join STRING; or name --data-dir or --state-dir.",
            code=ErrorCode.NOTHING_HERE,
        )
    return looks


def _show(found: dict[str, list[Finding]]) -> None:
    console = Console(highlight=False)
    for side, findings in found.items():
        console.print(Text(f"The {side} of this machine", style="bold"))
        width = max(len(one.question) for one in findings)
        for one in findings:
            mark, style = _MARKS[one.level]
            console.print(Text.assemble((f"  {mark} ", style), f"{one.question:{width}}  {one.answer}"), soft_wrap=True)
            if one.remedy:
                console.print(Text(f"    {'':{width}}  {one.remedy}", style="dim"), soft_wrap=True)
            if one.code:
                console.print(Text(f"    {'':{width}}  More: vgroup explain {one.code}", style="dim"), soft_wrap=True)
    worst = [one for findings in found.values() for one in findings if one.level is Level.BAD]
    summary = f"{len(worst)} things do not work." if len(worst) > 1 else "One thing does not work."
    console.print(Text(summary, style="bold red") if worst else Text("Nothing is wrong.", style="green"))
