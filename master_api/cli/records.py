"""``vgroup records``: verify the evidence of what is stored, and export the readings."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.exit_codes import ExitCode
from group_protocol.identifiers import OBJECT_ID_BYTES, ObjectId
from master_api.cli.common import AsJson, DataDir, ask_master, configured, make_app, print_json
from master_api.export import export_csv
from master_api.store.store import Store

records_app = make_app()


@records_app.command("verify")
def verify_command(
    *,
    data_dir: DataDir = None,
    on_chain: Annotated[
        bool, typer.Option("--on-chain", help="Have the contract judge every message from slave to slave too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify every stored record against the registry's addresses and the chain's anchors. Exit 1 if one is wrong."""
    report = ask_master(data_dir, "records.verify", on_chain=on_chain)
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
        _show_anchors(report["anchors"])
        _show_judgement(report.get("on_chain"))
    if not report["is_good"]:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _show_anchors(anchors: object) -> None:
    if isinstance(anchors, dict):
        typer.echo(
            f"{anchors['anchored']:,} proved unaltered by {anchors['anchors']:,} anchors,"
            f" {anchors['unanchored']:,} not anchored yet"
        )
        for finding in anchors["findings"]:
            first, last = finding["first_record"], finding["last_record"]
            which = f"record {first}" if first == last else f"records {first} to {last}"
            typer.echo(f"{which}: {finding['problem']}")


def _show_judgement(judgement: object) -> None:
    if isinstance(judgement, dict):
        typer.echo(
            f"{judgement['confirmed']:,} messages confirmed by the contract, {judgement['past']:,} of an earlier epoch"
            f" or a revoked device, {judgement['refused']:,} refused"
        )
        for finding in judgement["findings"]:
            typer.echo("device {oid}, record {seq}: {reason}".format(**finding))


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
        raise ConfigurationError(
            f"cannot write {output or 'to stdout'}: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
        ) from exc
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
        raise ConfigurationError(
            f"{text!r} is no oid",
            remedy="An oid has 32 hex digits; see: vgroup device list",
            code=ErrorCode.ARGUMENT_WRONG,
        )
    return ObjectId(raw)
