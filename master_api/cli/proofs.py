"""``vgroup records anchor, anchors, prove, check-proof, messages``: what the chain proves of the store."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError, RegistryInconsistent, VerificationError
from group_protocol.exit_codes import ExitCode
from group_protocol.identifiers import Address, display_object_id, parse_address
from group_protocol.record_proofs import PROOF_MAX_BYTES, RecordProof, parse_record_proof
from master_api.cli.common import AsJson, DataDir, ask_master, print_fields, print_json, print_table
from master_api.cli.records import records_app
from master_api.descriptions import JsonObject

_ANCHOR_COLUMNS = ("from_record", "to_record", "made_at", "block", "transaction")
_MESSAGE_COLUMNS = ("sender", "receiver", "waiting", "delivered", "refused", "dropped")


@records_app.command("anchor")
def anchor_command(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Commit the root over all records that are not anchored yet to the chain, now."""
    _show_anchors(ask_master(data_dir, "records.anchor"), as_json=as_json, nothing="There is nothing to anchor.")


@records_app.command("anchors")
def anchors_command(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the anchors, and how many records wait for one."""
    answer = ask_master(data_dir, "records.anchors")
    _show_anchors(answer, as_json=as_json, nothing="Nothing is anchored yet.")
    status = answer["status"]
    if not as_json and isinstance(status, dict):
        typer.echo(f"{status['waiting']:,} records wait for the next anchor.")
        if status["last_error"]:
            typer.echo(f"The last attempt failed: {status['last_error']}")


def _show_anchors(answer: JsonObject, *, as_json: bool, nothing: str) -> None:
    anchors = answer["anchors"]
    if as_json:
        print_json(answer)
    elif isinstance(anchors, list) and anchors:
        print_table(anchors, _ANCHOR_COLUMNS)
    else:
        typer.echo(nothing)


@records_app.command("messages")
def messages_command(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show what became of the messages from slave to slave."""
    answer = ask_master(data_dir, "records.messages")
    messages = answer["messages"]
    if as_json:
        print_json(answer)
    elif isinstance(messages, list) and messages:
        print_table(messages, _MESSAGE_COLUMNS)
    else:
        typer.echo("No slave has sent a message to another.")


@records_app.command("prove")
def prove_command(
    record: Annotated[str, typer.Argument(help="The record's number, or OID/SEQ.")],
    *,
    data_dir: DataDir = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout without it.")] = None,
) -> None:
    """Write a proof of one record, which anybody can check with `vgroup records check-proof` and the chain alone."""
    text = json.dumps(ask_master(data_dir, "records.prove", record=record), indent=1) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as exc:
        raise ConfigurationError(
            f"cannot write {output}: {exc.strerror}", remedy="Choose another --output.", code=ErrorCode.FILE_UNUSABLE
        ) from exc
    typer.echo(f"Proof written to {output}. It shows the record's payload to whoever has it.", err=True)


@records_app.command("check-proof")
def check_proof_command(
    file: Annotated[Path, typer.Argument(help="What `vgroup records prove` wrote.")],
    *,
    chain: Annotated[
        str, typer.Option(help="URL of a node's JSON-RPC, or the folder of an embedded chain (it may be in use).")
    ],
    contract: Annotated[
        str | None, typer.Option(help="Address of the contract that you trust. Default: the one that the proof names.")
    ] = None,
    from_block: Annotated[int, typer.Option(help="A block at or before the contract's deployment.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Check a proof with nothing but the chain. Exit 1 if it does not hold."""
    from master_api.composition import check_proof  # noqa: PLC0415 - the chain takes a second to import

    proof = _read_proof(file)
    try:
        checked = asyncio.run(check_proof(proof, chain, contract=_parse_contract(contract), from_block=from_block))
    except (VerificationError, RegistryInconsistent) as exc:
        if as_json:
            print_json({"is_good": False, "problem": str(exc), "code": exc.code})
        else:
            typer.echo(f"The proof does not hold: {exc}", err=True)
        raise typer.Exit(ExitCode.CHECK_FAILED) from exc
    fields = _describe(proof, checked.signer, checked.master, checked.anchored_at_unix_s)
    if as_json:
        print_json({"is_good": True} | fields)
    else:
        typer.echo("The proof holds. The device said this, and it was stored before the anchor's time:")
        print_fields(fields)


def _read_proof(file: Path) -> RecordProof:
    try:
        with file.open("rb") as opened:
            return parse_record_proof(opened.read(PROOF_MAX_BYTES + 1))
    except OSError as exc:
        raise ConfigurationError(
            f"cannot read {file}: {exc.strerror}", remedy="Check the file's name.", code=ErrorCode.FILE_UNUSABLE
        ) from exc
    except DecodingError as exc:
        raise ConfigurationError(
            f"{file}: {exc}", remedy="Ask for the proof again.", code=ErrorCode.PROOF_FILE_WRONG
        ) from exc


def _parse_contract(text: str | None) -> Address | None:
    if text is None:
        return None
    try:
        return parse_address(bytes.fromhex(text.removeprefix("0x")))
    except (ValueError, DecodingError) as exc:
        raise ConfigurationError(
            f"{text!r} is no address", remedy="Give 0x and 40 hex digits.", code=ErrorCode.ARGUMENT_WRONG
        ) from exc


def _describe(proof: RecordProof, signer: Address, master: Address, anchored_at_unix_s: int) -> JsonObject:
    record = proof.record
    return {
        "record": record.number,
        "device": record.sender.hex(),
        "shown_as": display_object_id(record.sender),
        "seq": record.seq,
        "epoch": record.epoch,
        "to": record.receiver.hex(),
        "payload_hash": record.payload_hash.hex(),
        "signed_by": "0x" + signer.hex(),
        "evidence": "its own signature" if record.signature is not None else "a checkpoint",
        "gid": proof.gid.hex(),
        "group_formed_by": "0x" + master.hex(),
        "chain_id": proof.chain_id,
        "contract": "0x" + proof.contract.hex(),
        "transaction": "0x" + proof.anchor.transaction_hash.hex(),
        "block": proof.anchor.block_number,
        "anchored_at": datetime.fromtimestamp(anchored_at_unix_s, UTC).isoformat().replace("+00:00", "Z"),
    }
