"""``vgroup demo``: its options, and how it ends."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from group_protocol.exit_codes import ExitCode
from vgroup.demo.closing import show_summary
from vgroup.demo.errors import DemoFailed
from vgroup.demo.scenario import play
from vgroup.demo.screen import Screen
from vgroup.demo.settings import EMBEDDED, DemoSettings
from vgroup.demo.summary import Summary


def demo(
    *,
    slaves: Annotated[int, typer.Option(help="How many slaves, each a process of its own.", min=1)] = 3,
    seconds: Annotated[float, typer.Option(help="How long they stream before the attacks begin.")] = 10.0,
    speed: Annotated[float, typer.Option(help="Replay the recordings so many times faster.")] = 1.0,
    chain: Annotated[str, typer.Option(help="'embedded', or the URL of a node's JSON-RPC.")] = EMBEDDED,
    key_file: Annotated[
        Path | None, typer.Option(help="Key of the account that pays, for a chain by URL (mode 0600).")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary here as JSON too.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Make everything in this new directory and leave it there.")] = None,
) -> None:
    """Form a group on this machine, stream real pulse recordings, attack it, and check what is left.

    One master with its gateway and chain and several slaves run as separate processes on loopback. The exit status is 0
    if every attack was refused and every check held, and 1 if one was not.
    """
    settings = DemoSettings(
        slaves=slaves, seconds=seconds, chain=chain, key_file=key_file, speed=speed, json_file=json_file, keep=keep
    )
    # A terminal that cannot show a tick gets a question mark, not a traceback.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    console = Console()
    try:
        summary = asyncio.run(_play(settings, console))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("  Stopped. No process is left.", highlight=False)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except DemoFailed as failure:
        console.print(f"  [bold red]✗ {escape(str(failure))}[/bold red]", highlight=False, soft_wrap=True)
        raise typer.Exit(ExitCode.CHECK_FAILED) from None
    if settings.json_file is not None:
        summary.write(settings.json_file)
    if not summary.holds:
        raise typer.Exit(ExitCode.CHECK_FAILED)


async def _play(settings: DemoSettings, console: Console) -> Summary:
    with Screen(console) as screen:
        summary = await play(settings, screen)
        show_summary(screen, summary)
    return summary
