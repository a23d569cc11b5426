"""``vgroup master``: set a master up and run it."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.cli.backup import backup_command, restore_command
from master_api.cli.common import AsJson, DataDir, ask_master, ask_passphrase, make_app, print_fields, print_json
from master_api.config import MasterConfig
from master_api.config_sources import load_config
from master_api.descriptions import JsonObject
from master_api.key_file import (
    PASSPHRASE_VARIABLE,
    create_key,
    find_passphrase,
    has_key,
    write_keystore,
    write_plain_key,
)
from master_api.private_files import ensure_private_folder
from master_api.store.store import Store
from system_ports.event_loop import run
from system_ports.randomness import SystemRandom

master_app = make_app()
master_app.command("backup")(backup_command)
master_app.command("restore")(restore_command)


@master_app.command("init")
def init_command(
    *,
    data_dir: DataDir = None,
    plain_key: Annotated[
        bool, typer.Option("--plain-key", help="Keep the key unencrypted, in a file that only you can read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the master's folder, key and store."""
    config = load_config(data_dir)
    fields = _initialise(config, plain_key=plain_key)
    if as_json:
        print_json(fields)
        return
    print_fields(fields)
    typer.echo("Next: vgroup master run, and in another terminal: vgroup group create NAME")


@master_app.command("run")
def run_command(  # noqa: PLR0913 - Typer makes an option of each parameter
    *,
    data_dir: DataDir = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on, or several with commas; * lets other machines in.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any.", min=0, max=65_535)] = None,
    public_host: Annotated[str | None, typer.Option(help="Host that pairing strings name.")] = None,
    chain: Annotated[str | None, typer.Option(help="'embedded', or the URL of a node's JSON-RPC.")] = None,
    contract: Annotated[str | None, typer.Option(help="Contract address, for a chain by URL.")] = None,
    suites: Annotated[str | None, typer.Option(help="Suites to accept, for instance H1,E1.")] = None,
    evidence_policy: Annotated[str | None, typer.Option(help="SIGNED or CHECKPOINTS.")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write the ready line here too, once the master listens.")
    ] = None,
) -> None:
    """Run the master until Ctrl-C or SIGTERM."""
    options = {
        "host": host,
        "port": port,
        "public_host": public_host,
        "chain": chain,
        "contract": contract,
        "suites": suites,
        "evidence_policy": evidence_policy,
        "log_format": log_format,
        "log_level": log_level,
    }
    from master_api.key_slots import key_in_force  # noqa: PLC0415 - the chain takes a second to import
    from master_api.running import run_master  # noqa: PLC0415 - as above

    def read_config() -> MasterConfig:
        return load_config(data_dir, options=options)

    config = read_config()

    async def run_with_key() -> None:
        key = await key_in_force(config, ask_passphrase)
        await run_master(config, key, ready_file=ready_file, read_config=read_config)

    run(run_with_key())


@master_app.command("rotate-key")
def rotate_key_command(
    *,
    data_dir: DataDir = None,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Give up a change that was interrupted: the old key stays.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change the master's key. Devices, group and records stay, and no device has to be touched. Stop the master first.

    Interrupted, it is run again: it goes on where it stood.
    """
    from master_api.key_slots import rotate_master_key  # noqa: PLC0415 - the chain takes a second to import

    result = run(rotate_master_key(load_config(data_dir), ask_passphrase, abandons=abandon))
    meaning = result.pop("meaning")
    if as_json:
        print_json(result)
        return
    print_fields(result)
    typer.echo(meaning)


@master_app.command("status")
def status_command(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show how the master is, its sessions, and whom it refused."""
    status = ask_master(data_dir, "master.status")
    if as_json:
        print_json(status)
    else:
        print_fields(_flat(status))


def _initialise(config: MasterConfig, *, plain_key: bool) -> JsonObject:
    if has_key(config.data_dir):
        raise ConfigurationError(
            f"{config.data_dir} holds a master key already",
            remedy="Run: vgroup master run, or choose another --data-dir.",
            code=ErrorCode.FILE_EXISTS,
        )
    passphrase = "" if plain_key else find_passphrase(os.environ, config.passphrase_file, _ask_new_passphrase)
    ensure_private_folder(config.data_dir)
    key = create_key(SystemRandom())
    path = write_plain_key(config.data_dir, key) if plain_key else write_keystore(config.data_dir, key, passphrase)
    Store(config.resolved_store_url).close()
    return {"master": "0x" + key.address.hex(), "key_file": str(path), "data_dir": str(config.data_dir)}


def _ask_new_passphrase() -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "a new key needs a passphrase",
            remedy=f"Set {PASSPHRASE_VARIABLE}, or give --plain-key.",
            code=ErrorCode.PASSPHRASE_MISSING,
        )
    answer: str = typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def _flat(status: JsonObject) -> JsonObject:
    """Objects inside as text, for people."""
    return {name: _words(value) for name, value in status.items()}


def _words(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{part}: {'–' if state is None else state}" for part, state in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(str(_words(each)) for each in value) or "none"
    return value
