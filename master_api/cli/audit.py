"""``vgroup audit``: verify the master's log of what happened, and show its newest entries."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from group_protocol.exit_codes import ExitCode
from master_api.audit import AuditBroken, fetch_newest
from master_api.cli.common import AsJson, DataDir, ask_passphrase, configured, make_app, print_json
from master_api.store.store import Store

audit_app = make_app()


@audit_app.command("verify")
def verify_command(
    *,
    data_dir: DataDir = None,
    head: Annotated[
        str | None, typer.Option(help="A head noted earlier (number:hash), which the log must still contain.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify that no entry was altered, removed or reordered. Exit 1 if one was. Note the head elsewhere."""
    from master_api.operating import verify_audit  # noqa: PLC0415 - the chain takes a second to import

    try:
        result = asyncio.run(verify_audit(configured(data_dir), head, ask_passphrase))
    except AuditBroken as exc:
        if as_json:
            print_json({"is_good": False, "number": exc.number, "problem": str(exc), "code": exc.code})
        else:
            typer.echo(f"broken at {exc}", err=True)
        raise typer.Exit(ExitCode.CHECK_FAILED) from exc
    if as_json:
        print_json({"is_good": True} | result)
    else:
        typer.echo(f"{result['entries']:,} entries, all whole. Head: {result['head']}")


@audit_app.command("show")
def show_command(
    *,
    data_dir: DataDir = None,
    last: Annotated[int, typer.Option(help="How many of the newest entries.", min=1, max=10_000)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest entries, unverified."""
    store = Store(configured(data_dir).resolved_store_url, may_create=False)
    try:
        entries = store.read_now(lambda connection: fetch_newest(connection, last))
    finally:
        store.close()
    if as_json:
        print_json(
            [
                {"number": entry.number, "time": _iso(entry.at_unix_ms), "kind": entry.kind} | json.loads(entry.detail)
                for entry in entries
            ]
        )
        return
    for entry in entries:
        typer.echo(f"{entry.number:>6}  {_iso(entry.at_unix_ms)}  {entry.kind:22}  {entry.detail}")


def _iso(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
