"""``vgroup master backup`` and ``vgroup master restore``."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from master_api.backups.making import Sources, find_sources, make_backup
from master_api.backups.manifest import SETTINGS_PART, STORE_PART, Manifest
from master_api.backups.restoring import restore_backup
from master_api.cli.common import AsJson, DataDir, configured, print_fields, print_json
from master_api.config import MasterConfig
from master_api.config_sources import CONFIG_VARIABLE, DATA_DIR_VARIABLE, ENVIRONMENT_PREFIX, config_file
from master_api.descriptions import JsonObject
from master_api.key_file import KEYSTORE_NAME, PLAIN_KEY_NAME

_FILES_OF_SETTINGS = ("passphrase_file", "gateway_token_file", "relayer_key_file", "more_relayer_key_files")


def backup_command(
    file: Annotated[Path, typer.Argument(help="The archive to write: a new file.")],
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole master into one file: key, store, embedded chain, settings. The master may run meanwhile."""
    from master_api.composition import gateway_config  # noqa: PLC0415 - the chain takes a second to import

    config = configured(data_dir)
    sources = find_sources(config, gateway_config(config).directory, config_file(config.data_dir, os.environ))
    manifest = make_backup(sources, file.expanduser().absolute())
    _print(manifest, as_json=as_json)
    for warning in _warnings_of_backup(config, sources):
        typer.echo(f"NOTE: {warning}", err=True)


def restore_command(
    file: Annotated[Path, typer.Argument(help="An archive of vgroup master backup.")],
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup into an empty folder, after all of it was checked. The old master must never run again."""
    config = configured(data_dir)
    manifest = restore_backup(file.expanduser(), config)
    _print(manifest, as_json=as_json)
    for warning in _warnings_of_restore(config, manifest):
        typer.echo(f"NOTE: {warning}", err=True)


def _print(manifest: Manifest, *, as_json: bool) -> None:
    fields: JsonObject = asdict(manifest)
    if as_json:
        print_json(fields)
        return
    fields["parts"] = ", ".join(part.name for part in manifest.parts)
    fields["bytes"] = f"{sum(part.size_bytes for part in manifest.parts):,}"
    print_fields({name: value if value != "" else None for name, value in fields.items()})


def _warnings_of_backup(config: MasterConfig, sources: Sources) -> list[str]:
    warnings = []
    if PLAIN_KEY_NAME in sources.files:
        warnings.append(
            "THE MASTER'S KEY IS IN THE FILE UNENCRYPTED. Whoever reads it is this master: encrypt the file."
        )
    elif KEYSTORE_NAME in sources.files:
        warnings.append(
            "the master's key is in the file as it was, encrypted. Without its passphrase it opens nothing."
        )
    else:
        warnings.append("the master's key is NOT in the file: no key file is in the folder. Keep it by itself.")
    if not sources.store:
        warnings.append(
            f"the store is NOT in the file: save the {sources.store_kind} database with its own tool (pg_dump),"
            " before each backup like this one, not after it."
        )
    elif config.store_url:
        warnings.append(f"the store lies outside of the folder; it will be restored as {STORE_PART} in it.")
    named = [name for name in _FILES_OF_SETTINGS if getattr(config, name)]
    if named:
        warnings.append(f"files that settings name are NOT in the file: see {', '.join(named)}.")
    if config.chain != "embedded" or config.gateway:
        warnings.append("the chain is not this master's own, so it is not in the file.")
    unsaved = sorted(
        name
        for name in os.environ
        if name.startswith(ENVIRONMENT_PREFIX) and name not in {DATA_DIR_VARIABLE, CONFIG_VARIABLE}
    )
    if unsaved:
        warnings.append(f"settings from the environment are NOT in the file: {', '.join(unsaved)}.")
    return warnings


def _warnings_of_restore(config: MasterConfig, manifest: Manifest) -> list[str]:
    names = {part.name for part in manifest.parts}
    warnings = [
        "the master that this was copied from must never run again: two masters with one key contradict each other.",
        f"revocations after {manifest.made_at} may be forgotten: look at `vgroup device list`, and revoke again.",
    ]
    if not names & {KEYSTORE_NAME, PLAIN_KEY_NAME}:
        warnings.append("the backup holds no key: put the master's key file into the folder.")
    if STORE_PART not in names:
        warnings.append(f"the backup holds no store: restore the {manifest.store} database with its own tool.")
    read_from, restored = config_file(config.data_dir, os.environ), config.data_dir / SETTINGS_PART
    if SETTINGS_PART in names and read_from != restored:
        warnings.append(f"settings are read from {read_from}; those of the backup are in {restored}.")
    return warnings
