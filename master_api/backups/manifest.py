"""What a backup says of itself: the first member of the archive, as JSON.

The hashes tell damage, not forgery: who may write the file can write its manifest too.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.shallow_json import load_shallow_json

MANIFEST_NAME: Final = "manifest.json"
FORMAT: Final = 1
MANIFEST_MAX_BYTES: Final = 1 << 20
STORE_PART: Final = "master.sqlite3"
SETTINGS_PART: Final = "master.toml"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the master's folder; its name is its path in there, with slashes."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The backup's own description.

    Attributes:
        version: Of the program that wrote it.
        master: Address with 0x, or "" where neither key file nor store tells it.
        gid: In hex, or "" before there is a group.
        made_at: ISO 8601, UTC.
        schema_version: Of the store; 0 where the store is not inside.
        store: ``sqlite``, or the kind of database that has to be saved by its own tools.
    """

    version: str
    master: str
    gid: str
    made_at: str
    schema_version: int
    store: str
    parts: tuple[Part, ...]

    def to_json(self) -> bytes:
        """As it stands in the archive."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2).encode("utf-8") + b"\n"


def parse_manifest(text: bytes) -> Manifest:
    """The manifest of an archive.

    Raises:
        ConfigurationError: It is damaged, of a newer format, or names a place outside of the folder.
    """
    try:
        fields = load_shallow_json(text)
        found = int(fields.pop("format"))
        if found > FORMAT:
            raise ConfigurationError(
                f"the backup has format {found}; this program knows up to {FORMAT}",
                remedy="Use the newer vgroup that wrote it.",
                code=ErrorCode.WRITTEN_BY_NEWER,
            )
        parts = tuple(_parse_part(part) for part in fields.pop("parts"))
        manifest = Manifest(parts=parts, **fields)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as exc:
        raise ConfigurationError(
            f"the backup is damaged: its {MANIFEST_NAME} cannot be read", code=ErrorCode.BACKUP_DAMAGED
        ) from exc
    return manifest


def _parse_part(fields: Mapping[str, object]) -> Part:
    name, size_bytes, sha256 = fields["name"], fields["size_bytes"], fields["sha256"]
    if not (isinstance(name, str) and isinstance(size_bytes, int) and isinstance(sha256, str)):
        raise TypeError("a part has a name, a size and a hash")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or name in {"", ".", MANIFEST_NAME}:
        raise ConfigurationError(
            f"the backup names {name!r}, which is no place in a master's folder", code=ErrorCode.BACKUP_DAMAGED
        )
    return Part(name, size_bytes, sha256)
