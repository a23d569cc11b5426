"""The SQLite file under the buffer: its schema, its settings, its transactions, and what its errors mean. Blocking."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import StoreError

_APPLICATION_ID = 0x76675342  # "vgSB"
_SCHEMA_VERSION = 1
# SQLite says that memory ran out where a damaged schema makes it ask for a huge piece: the kept corpus has such a file.
UNREADABLE = (sqlite3.Error, ValueError, TypeError, OverflowError, MemoryError)
"""What reading a damaged file raises: SQLite's own errors, and those of texts and numbers that are none."""
_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_SCHEMA = """
CREATE TABLE opening (id INTEGER PRIMARY KEY, salt BLOB NOT NULL);
CREATE TABLE record
 (seq INTEGER PRIMARY KEY, opening INTEGER NOT NULL, held_s REAL NOT NULL, readings INTEGER NOT NULL,
  sealed BLOB NOT NULL);
CREATE TABLE set_aside
 (seq INTEGER PRIMARY KEY, opening INTEGER NOT NULL, reason INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE counter (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""


class BufferDamagedError(StoreError):
    """The file is no buffer of ours any more."""

    default_code = ErrorCode.BUFFER_DAMAGED


class BufferDatabase:
    """One open file: WAL, every commit on the medium when it returns.

    Args:
        path: The file; made with mode 0600 where it is missing.

    Raises:
        BufferDamagedError: It is no buffer of ours.
        StoreError: The medium refuses.
    """

    def __init__(self, path: Path) -> None:
        _touch_private(path)
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            self._prepare()
        except UNREADABLE as exc:
            self.close()
            if isinstance(exc, MemoryError):
                raise BufferDamagedError(f"{path} is damaged: {exc}") from exc
            raise _translate(exc, path) from exc
        except StoreError:
            self.close()
            raise

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """One statement. Raises SQLite's errors: use it in :meth:`border` or :meth:`transaction`."""
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """One statement for each row. Raises what :meth:`execute` does."""
        self._connection.executemany(statement, rows)

    @contextmanager
    def border(self) -> Iterator[None]:
        """Turn what reading and writing raise into BufferDamagedError or StoreError."""
        try:
            yield
        except UNREADABLE as exc:
            raise _translate(exc, self._path) from exc

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, on the medium when this returns, or nothing. Raises what :meth:`border` does."""
        with self.border():
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Fold the WAL into the file and close it."""
        self._connection.close()

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")  # what was sent must survive a power cut, or its seq would be used again
        execute("PRAGMA journal_size_limit = 4194304")
        execute("PRAGMA cache_size = -512")  # KiB
        if execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            mark = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_SCHEMA_VERSION};"
            self._connection.executescript(f"BEGIN; {_SCHEMA} {mark} COMMIT;")
        found = (execute("PRAGMA application_id").fetchone()[0], execute("PRAGMA user_version").fetchone()[0])
        if found != (_APPLICATION_ID, _SCHEMA_VERSION) or execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise BufferDamagedError("the buffer's file is damaged")


def _touch_private(path: Path) -> None:
    """Make the file with mode 0600 before SQLite does; SQLite gives its WAL the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as exc:
        raise StoreError(
            f"cannot open {path}: {exc.strerror}",
            remedy="Free some space or mend the medium.",
            code=ErrorCode.DISK_REFUSES,
        ) from exc


def _translate(error: Exception, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGE_CODES or not isinstance(error, sqlite3.Error | MemoryError):
        return BufferDamagedError(f"{path} is damaged: {error}")
    return StoreError(
        f"{path} cannot be used: {error}",
        remedy="Free some space or mend the medium; records wait in memory meanwhile.",
        code=ErrorCode.DISK_REFUSES,
    )
