"""``vgroup records``: verify the evidence of what is stored, and export the readings."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from group_protocol.errors import ConfigurationError
from group_protocol.exit_codes import ExitCode
from group_protocol.identifiers import OBJECT_ID_BYTES, ObjectId
from master_api.cli.common import AsJson, DataDir, ask_master, configured, make_app, print_json
from master_api.export import export_csv
from master_api.store.store import Store

records_app = make_app()


@records_app.command("verify")
def verify_command(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Verify every stored record against the addresses that the registry vouches for. Exit 1 if one does not hold."""
    report = ask_master(data_dir, "records.verify")
    if as_json:
        print_json(report)
    else:
        typer.echo(f"{report['good']:,} good, {report['waiting']:,} wait for a checkpoint, {report['bad']:,} bad")
        findings = report["findings"]
        for finding in findings if isinstance(findings, list) else []:
            typer.echo("device {oid}, records {first_seq} to {last_seq}: {problem}".format(**finding))
        gaps = report["gaps"]
        for gap in gaps if isinstance(gaps, list) else []:
            typer.echo("device {oid}, records {first_seq} to {last_seq} are not here".format(**gap))
    if not report["is_good"]:
        raise typer.Exit(ExitCode.CHECK_FAILED)


@records_app.command("export")
def export_command(
    *,
    data_dir: DataDir = None,
    device: Annotated[str | None, typer.Option("--oid", help="Only this device's, by its whole oid.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout without it.")] = None,
) -> None:
    """Export the stored readings as CSV, one a line, by device and record number."""
    store = Store(configured(data_dir).resolved_store_url, may_create=False)
    try:
        with output.open("w", newline="", encoding="utf-8") if output else nullcontext(sys.stdout) as file:
            oid = _parse_oid(device)
            readings = store.read_now(lambda connection: export_csv(connection, file, oid))
    except OSError as exc:
        raise ConfigurationError(f"cannot write {output or 'to stdout'}: {exc.strerror}") from exc
    finally:
        store.close()
    typer.echo(f"{readings:,} readings", err=True)


def _parse_oid(text: str | None) -> ObjectId | None:
    if text is None:
        return None
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != OBJECT_ID_BYTES:
        raise ConfigurationError(f"{text!r} is no oid", remedy="An oid has 32 hex digits; see: vgroup device list")
    return ObjectId(raw)
