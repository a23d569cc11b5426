"""The inbox's file: messages from other slaves, sealed, and for each sender the highest seq that was taken.

SQLite in WAL mode, blocking. A message and its sender's mark are one commit: so a message that comes again is known,
also after it was deleted (``docs/protocol.md`` §6.1).
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from group_protocol.crypto.aead import Aead, SealingKey
from group_protocol.crypto.kdf import derive
from group_protocol.encoding import u64
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import DecodingError, StoreError, VerificationError
from group_protocol.identifiers import ObjectId
from group_protocol.peer_messages import Delivery, decode_delivery, encode_delivery
from group_protocol.ports import Random
from slave_client.received_message import ReceivedMessage
from system_ports.private_files import PRIVATE_FILE_MODE

INBOX_FILE: Final = "inbox.db"
_APPLICATION_ID: Final = 0x7667_5349  # "vgSI"
_SALT_BYTES: Final = 16
_SCHEMA: Final = """
CREATE TABLE opening (id INTEGER PRIMARY KEY, salt BLOB NOT NULL);
CREATE TABLE message
 (number INTEGER PRIMARY KEY AUTOINCREMENT, opening INTEGER NOT NULL, received_ms INTEGER NOT NULL,
  sealed BLOB NOT NULL);
CREATE TABLE mark (sender BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counter VALUES ('handled', 0), ('dropped', 0);
"""


class InboxDamagedError(StoreError):
    """The file is no inbox of ours any more."""

    default_code = ErrorCode.BUFFER_DAMAGED


@dataclass(frozen=True, slots=True)
class InboxFill:
    """What the status shows.

    Attributes:
        messages: On the disk now.
        handled: The highest number that every handler has taken.
        dropped: Deleted to stay within the bound before anybody had to have seen them; for the life of the file.
    """

    messages: int
    newest: int
    handled: int
    dropped: int


class InboxFile:
    """One open file. Every method raises StoreError when the medium refuses.

    Args:
        path: The file; made with mode 0600 where it is missing, unless ``is_reader``.
        storage_secret: The device's, 32 bytes.
        random: For the salt of this opening; None for a reader, which changes nothing.
    """

    def __init__(self, path: Path, storage_secret: bytes, random: Random | None) -> None:
        self._path = path
        self._secret = storage_secret
        self._keys: dict[int, SealingKey] = {}
        self._opening = 0
        if random is not None:
            _touch_private(path)
        try:
            self._database = sqlite3.connect(
                f"file:{path}" if random is not None else f"file:{path}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=5.0,
            )
            if random is not None:
                self._prepare(random)
        except sqlite3.Error as exc:
            raise self._translate(exc) from exc

    def _prepare(self, random: Random) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        (found,) = self._database.execute("PRAGMA application_id").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            self._database.executescript(f"BEGIN; PRAGMA application_id = {_APPLICATION_ID}; {_SCHEMA} COMMIT;")
        elif found != _APPLICATION_ID:
            raise InboxDamagedError(f"{self._path} is another program's file")
        salt = random.token_bytes(_SALT_BYTES)
        cursor = self._database.execute("INSERT INTO opening (salt) VALUES (?)", (salt,))
        self._opening = cursor.lastrowid or 0

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def take(self, deliveries: Sequence[Delivery], received_unix_s: float, most: int, *, keeps_unhandled: bool) -> int:
        """Keep what is new of verified messages, in one durable step; answers how many were new.

        A message whose seq is not above its sender's mark was here before, or comes out of order: it is left out.

        Args:
            deliveries: In the order in which they came.
            received_unix_s: For people.
            most: The oldest messages beyond this many are deleted...
            keeps_unhandled: ...but none that a handler has not taken.
        """
        new = 0
        received_ms = max(0, int(received_unix_s * 1_000))
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for delivery in deliveries:
                if self._raise_mark(delivery.sender, delivery.record.seq):
                    self._insert(delivery, received_ms)
                    new += 1
            self._drop_beyond(most, keeps_unhandled=keeps_unhandled)
            self._database.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise self._translate(exc) from exc
        return new

    def _raise_mark(self, sender: ObjectId, seq: int) -> bool:
        raised = self._database.execute(
            "INSERT INTO mark VALUES (?, ?) ON CONFLICT (sender) DO UPDATE SET seq = excluded.seq"
            " WHERE excluded.seq > mark.seq",
            (sender, seq),
        )
        return raised.rowcount > 0

    def _insert(self, delivery: Delivery, received_ms: int) -> None:
        # The number is the nonce, so it is known before the row is sealed: AUTOINCREMENT never gives one again.
        cursor = self._database.execute(
            "INSERT INTO message (opening, received_ms, sealed) VALUES (?, ?, x'')", (self._opening, received_ms)
        )
        number = cursor.lastrowid or 0
        sealed = self._key(self._opening).seal(number, u64(received_ms), encode_delivery(delivery))
        self._database.execute("UPDATE message SET sealed = ? WHERE number = ?", (sealed, number))

    def _drop_beyond(self, most: int, *, keeps_unhandled: bool) -> None:
        beyond = "number <= (SELECT max(number) FROM message) - ?"
        handled = " AND number <= (SELECT value FROM counter WHERE name = 'handled')" if keeps_unhandled else ""
        dropped = self._database.execute(f"DELETE FROM message WHERE {beyond}{handled}", (most,)).rowcount  # noqa: S608
        if dropped and not keeps_unhandled:
            self._database.execute("UPDATE counter SET value = value + ? WHERE name = 'dropped'", (dropped,))

    def read_after(self, number: int, limit: int) -> list[ReceivedMessage]:
        """The oldest messages above a number. One that does not open was changed on the disk, and is left out."""
        try:
            rows = self._database.execute(
                "SELECT number, opening, received_ms, sealed FROM message WHERE number > ? ORDER BY number LIMIT ?",
                (number, limit),
            ).fetchall()
            return [message for row in rows if (message := self._open(*row)) is not None]
        except sqlite3.Error as exc:
            raise self._translate(exc) from exc

    def iterate(self) -> Iterator[ReceivedMessage]:
        """All messages, the oldest first."""
        number = 0
        while messages := self.read_after(number, 256):
            yield from messages
            number = messages[-1].number

    def note_handled(self, number: int) -> None:
        """Every handler has taken the messages up to this one."""
        try:
            self._database.execute("UPDATE counter SET value = max(value, ?) WHERE name = 'handled'", (number,))
        except sqlite3.Error as exc:
            raise self._translate(exc) from exc

    def fill(self) -> InboxFill:
        """How full it is."""
        try:
            messages, newest = self._database.execute("SELECT count(*), max(number) FROM message").fetchone()
            counters = dict(self._database.execute("SELECT name, value FROM counter").fetchall())
        except sqlite3.Error as exc:
            raise self._translate(exc) from exc
        return InboxFill(messages, newest or 0, counters["handled"], counters["dropped"])

    def _open(self, number: int, opening: int, received_ms: int, sealed: bytes) -> ReceivedMessage | None:
        try:
            body = self._key(opening).open(number, u64(received_ms), sealed)
            return ReceivedMessage(number, received_ms / 1_000, decode_delivery(body))
        except (VerificationError, DecodingError):
            return None

    def _key(self, opening: int) -> SealingKey:
        if opening not in self._keys:
            row = self._database.execute("SELECT salt FROM opening WHERE id = ?", (opening,)).fetchone()
            salt = row[0] if row else b""
            self._keys[opening] = SealingKey(Aead.A256GCM, derive(self._secret, "slave inbox", salt))
        return self._keys[opening]

    def _translate(self, error: sqlite3.Error) -> StoreError:
        kind = InboxDamagedError if isinstance(error, sqlite3.DatabaseError) and _is_damage(error) else StoreError
        return kind(f"{self._path} cannot be used: {error}", remedy="Free some space or mend the medium.")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _touch_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE))
    except OSError as exc:
        raise StoreError(
            f"cannot make {path}: {exc.strerror}",
            remedy="Free some space or mend the medium.",
            code=ErrorCode.DISK_REFUSES,
        ) from exc
