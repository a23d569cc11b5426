"""Putting a backup back into an empty folder: all of it is checked before any of it is in its place."""

import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.backups.making import measure
from master_api.backups.manifest import MANIFEST_MAX_BYTES, MANIFEST_NAME, Manifest, Part, parse_manifest
from master_api.config import MasterConfig
from master_api.folder_lock import LOCK_NAME, locked_folder
from master_api.key_file import KEY_FILES
from master_api.private_files import PRIVATE_FOLDER_MODE, ensure_private_folder
from master_api.store.schema import SCHEMA_VERSION
from system_ports.private_files import PRIVATE_FILE_MODE, sync_folder

_STAGING: Final = ".restoring"
_DAMAGED: Final = "Use another copy of it, or an older backup."


def restore_backup(archive_file: Path, config: MasterConfig) -> Manifest:
    """Check the archive and put its parts into the master's folder, the key last.

    Raises:
        ConfigurationError: A master runs there, the folder is not empty, the archive is damaged (the part is named),
            or a newer program wrote it. The folder is as it was.
    """
    folder = config.data_dir
    ensure_private_folder(folder)
    with locked_folder(folder):
        _require_empty(folder)
        staging = folder / _STAGING
        try:
            with _readable(archive_file) as archive:
                manifest = _read_manifest(archive)
                _require_known_schema(manifest)
                staging.mkdir(PRIVATE_FOLDER_MODE)
                _unpack(archive, manifest, staging)
            _put_in_place(staging, folder)
        except OSError as exc:
            raise ConfigurationError(
                f"{folder} cannot be written: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
            ) from exc
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _require_empty(folder: Path) -> None:
    if found := sorted(path.name for path in folder.iterdir() if path.name != LOCK_NAME):
        raise ConfigurationError(
            f"the folder {folder} is not empty: it holds {', '.join(found[:3])}",
            remedy="Move what is there away, or choose another --data-dir. Nothing is ever overwritten.",
            code=ErrorCode.FILE_EXISTS,
        )


@contextmanager
def _readable(archive_file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive_file, "r:") as archive:
            yield archive
    except tarfile.TarError as exc:
        raise ConfigurationError(
            f"{archive_file} is no backup, or damaged: {exc}", remedy=_DAMAGED, code=ErrorCode.BACKUP_DAMAGED
        ) from exc
    except (FileNotFoundError, PermissionError, IsADirectoryError) as exc:
        raise ConfigurationError(
            f"the backup {archive_file} cannot be read: {exc.strerror}", code=ErrorCode.FILE_UNUSABLE
        ) from exc


def _read_manifest(archive: tarfile.TarFile) -> Manifest:
    entry = archive.next()
    file = archive.extractfile(entry) if entry is not None and entry.isreg() else None
    if entry is None or file is None or entry.name != MANIFEST_NAME or entry.size > MANIFEST_MAX_BYTES:
        raise ConfigurationError(
            f"the file is no backup of a master: it does not begin with {MANIFEST_NAME}", code=ErrorCode.BACKUP_DAMAGED
        )
    return parse_manifest(file.read())


def _require_known_schema(manifest: Manifest) -> None:
    if manifest.schema_version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"the backup's store has schema {manifest.schema_version}; this program knows up to {SCHEMA_VERSION}",
            remedy=f"Use vgroup {manifest.version} or newer: that version wrote it.",
            code=ErrorCode.WRITTEN_BY_NEWER,
        )


def _unpack(archive: tarfile.TarFile, manifest: Manifest, staging: Path) -> None:
    for part in manifest.parts:
        try:
            entry = archive.next()
        except tarfile.TarError as exc:
            raise _damaged(part) from exc
        if entry is None or not entry.isreg() or entry.name != part.name or entry.size != part.size_bytes:
            raise _damaged(part)
        _unpack_part(archive, entry, part, staging / part.name)
    if archive.next() is not None:
        raise ConfigurationError(
            "the backup holds more than its manifest names", remedy=_DAMAGED, code=ErrorCode.BACKUP_DAMAGED
        )


def _unpack_part(archive: tarfile.TarFile, entry: tarfile.TarInfo, part: Part, path: Path) -> None:
    path.parent.mkdir(PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)
    source = archive.extractfile(entry)
    if source is None:
        raise _damaged(part)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    with os.fdopen(descriptor, "wb") as target:
        try:
            shutil.copyfileobj(source, target)
        except tarfile.TarError as exc:
            raise _damaged(part) from exc
        target.flush()
        os.fsync(target.fileno())
    if measure(path, part.name) != part:
        raise _damaged(part)


def _damaged(part: Part) -> ConfigurationError:
    return ConfigurationError(
        f"the backup is damaged: {part.name} is not as its manifest says",
        remedy=_DAMAGED,
        code=ErrorCode.BACKUP_DAMAGED,
    )


def _put_in_place(staging: Path, folder: Path) -> None:
    """The key last: a folder without one is refused as no master's, should the power go in between."""
    keys = set(KEY_FILES)
    for path in sorted(staging.iterdir(), key=lambda path: path.name in keys):
        path.rename(folder / path.name)
    for place in (*(place for place in folder.rglob("*") if place.is_dir()), folder):
        sync_folder(place)
