"""Making a backup. It needs neither the master's passphrase nor that the master stops."""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from group_protocol.crypto.keys import PrivateKey
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.backups.manifest import MANIFEST_NAME, SETTINGS_PART, STORE_PART, Manifest, Part
from master_api.backups.snapshot import copy_snapshot, snapshots
from master_api.config import MasterConfig
from master_api.key_file import KEY_FILES, KEYSTORE_NAME, PLAIN_KEY_NAME
from master_api.private_files import refuse_if_readable_by_others
from system_ports.private_files import DRAFT_SUFFIX, PRIVATE_FILE_MODE, sync_folder

_DATABASE: Final = ".sqlite3"
_LEFT_OUT: Final = (".lock", "-wal", "-shm", "-journal", DRAFT_SUFFIX)
_SQLITE: Final = "sqlite"
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts of a master are: by the name that each has in the archive.

    Attributes:
        files: Copied as they are.
        gateway: Databases of the gateway inside the master's folder.
        store: The store, if it is a file.
        store_kind: ``sqlite``, ``postgresql``, …
    """

    files: Mapping[str, Path]
    gateway: Mapping[str, Path]
    store: Mapping[str, Path]
    store_kind: str


def find_sources(config: MasterConfig, gateway_folder: Path, settings_file: Path) -> Sources:
    """Look at what there is.

    Raises:
        ConfigurationError: There is no master, or its key file is open to others.
    """
    url = make_url(config.resolved_store_url)
    kind = url.get_backend_name()
    store = {STORE_PART: Path(url.database or "").absolute()} if kind == _SQLITE else {}
    if missing := [str(path) for path in store.values() if not path.is_file()]:
        raise ConfigurationError(
            f"there is no store at {missing[0]}", remedy="Give the master's --data-dir.", code=ErrorCode.NO_MASTER_HERE
        )
    files = {name: config.data_dir / name for name in KEY_FILES}
    files = {name: path for name, path in files.items() if path.exists()}
    for path in files.values():
        refuse_if_readable_by_others(path)
    if settings_file.is_file():
        files[SETTINGS_PART] = settings_file
    gateway: dict[str, Path] = {}
    for path in sorted(gateway_folder.rglob("*")):
        if path.is_file() and not path.name.endswith(_LEFT_OUT):
            name = path.relative_to(config.data_dir).as_posix()
            (gateway if path.suffix == _DATABASE else files)[name] = path
    return Sources(files, gateway, store, kind)


def make_backup(sources: Sources, target: Path) -> Manifest:
    """Write the archive: a new file of mode 0600, there whole or not at all.

    The copies lie beside it for the time being, so twice the room is needed there.

    Raises:
        ConfigurationError: The file is there already, or it cannot be written.
        StoreError: A database cannot be read, or is damaged.
    """
    if target.exists():
        raise ConfigurationError(
            f"the file {target} exists already", remedy="Choose another name.", code=ErrorCode.FILE_EXISTS
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".vgroup-backup-", dir=target.parent) as name:
            staging = Path(name)
            manifest = _gather(sources, staging)
            draft = staging / "archive.tar"
            _write_archive(draft, manifest, staging / "parts")
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE_MODE))
            draft.replace(target)  # over the empty file of a moment ago, and over nobody else's
            sync_folder(target.parent)
    except OSError as exc:
        raise ConfigurationError(
            f"the backup {target} cannot be written: {exc.strerror}",
            remedy="Give a place with room that this user may write to.",
            code=ErrorCode.FILE_UNUSABLE,
        ) from exc
    return manifest


def _gather(sources: Sources, staging: Path) -> Manifest:
    databases = {**sources.store, **sources.gateway}
    names = sorted({*databases, *sources.files})
    manifest = Manifest(
        version("vgroup"), "", "", datetime.now(UTC).isoformat(timespec="seconds"), 0, sources.store_kind, ()
    )
    with snapshots(list(sources.gateway.values()), list(sources.store.values())) as opened:
        for name in names:
            copy = staging / "parts" / name
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if name in databases:
                copy_snapshot(name, opened[databases[name]], copy)
            else:
                copy.touch(PRIVATE_FILE_MODE)
                shutil.copyfile(sources.files[name], copy)
        for path in sources.store.values():
            manifest = _described_by_store(manifest, opened[path])
    parts = tuple(measure(staging / "parts" / name, name) for name in names)
    return replace(manifest, parts=parts, master=manifest.master or _address_in_key_file(sources.files))


def _described_by_store(manifest: Manifest, store: sqlite3.Connection) -> Manifest:
    (schema,) = store.execute("SELECT version FROM schema_version").fetchone()
    group = store.execute("SELECT gid, master_address FROM groups").fetchone()
    gid, master = (group[0].hex(), "0x" + group[1].hex()) if group else ("", "")
    return replace(manifest, schema_version=schema, gid=gid, master=master)


def _address_in_key_file(files: Mapping[str, Path]) -> str:
    """Of a master without a group; a key store tells its address without being opened."""
    try:
        if KEYSTORE_NAME in files:
            return "0x" + str(json.loads(files[KEYSTORE_NAME].read_bytes())["address"]).removeprefix("0x").lower()
        if PLAIN_KEY_NAME in files:
            key = PrivateKey.from_secret(bytes.fromhex(files[PLAIN_KEY_NAME].read_text("ascii").strip()))
            return "0x" + key.address.hex()
    except (ValueError, KeyError, TypeError) as exc:
        raise ConfigurationError("the master's key file is damaged", code=ErrorCode.KEY_FILE_DAMAGED) from exc
    return ""


def measure(path: Path, name: str) -> Part:
    """Size and SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return Part(name, path.stat().st_size, digest.hexdigest())


def _write_archive(draft: Path, manifest: Manifest, folder: Path) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            text = manifest.to_json()
            archive.addfile(_entry(MANIFEST_NAME, len(text)), io.BytesIO(text))
            for part in manifest.parts:
                with (folder / part.name).open("rb") as content:
                    archive.addfile(_entry(part.name, part.size_bytes), content)
        file.flush()
        os.fsync(file.fileno())


def _entry(name: str, size_bytes: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size_bytes, PRIVATE_FILE_MODE
    return entry
