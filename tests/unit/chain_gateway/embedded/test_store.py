import shutil
import sqlite3
from pathlib import Path

import pytest

from chain_gateway.embedded.errors import ChainFileRefused
from chain_gateway.embedded.store import ChainStore, open_store

KEY = b"k" * 32


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    store = open_store(tmp_path / "chain.sqlite3")
    with store.transaction():
        store.create_tables()
    return store


def test_writes_of_one_transaction_are_there_after_reopening(store: ChainStore, tmp_path: Path) -> None:
    with store.transaction():
        store.nodes[KEY] = b"one"
        store.nodes[b"other"] = b"two"
    store.close()
    reopened = open_store(tmp_path / "chain.sqlite3")
    assert (reopened.nodes[KEY], reopened.nodes[b"other"]) == (b"one", b"two")
    reopened.close()


def test_exception_inside_transaction_keeps_nothing_of_it(store: ChainStore) -> None:
    with store.transaction():
        store.nodes[KEY] = b"before"

    def write_and_fail() -> None:
        with store.transaction():
            store.nodes[KEY] = b"after"
            store.nodes[b"new"] = b"new"
            del store.nodes[KEY]
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        write_and_fail()
    assert store.nodes[KEY] == b"before"
    assert b"new" not in store.nodes
    store.close()


def test_files_copied_inside_a_transaction_hold_the_state_before_it(store: ChainStore, tmp_path: Path) -> None:
    # What lies on the disk at an instant is what a process killed at that instant leaves behind.
    with store.transaction():
        store.nodes[KEY] = b"before"
    copies = []
    with store.transaction():
        for step in range(200):
            store.nodes[step.to_bytes(32, "big")] = bytes(4000)
            store.nodes[KEY] = b"after"
            if step % 50 == 0:
                copies.append(_copy_files(tmp_path, f"killed-at-{step}"))
    copies.append(_copy_files(tmp_path, "killed-after-commit"))
    store.close()
    found = [_read_key(copy) for copy in copies]
    assert found == [b"before"] * 4 + [b"after"]


def test_deleting_a_missing_key_raises_key_error(store: ChainStore) -> None:
    with store.transaction(), pytest.raises(KeyError):
        del store.nodes[KEY]
    with pytest.raises(KeyError):
        store.nodes[KEY]
    store.close()


def test_write_outside_a_transaction_is_refused(store: ChainStore) -> None:
    with pytest.raises(RuntimeError, match="one transaction per block"):
        store.nodes[KEY] = b"stray"
    with pytest.raises(RuntimeError, match="one transaction per block"):
        del store.nodes[KEY]
    store.close()


def test_store_flushes_every_commit(store: ChainStore) -> None:
    assert store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    store.close()


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite3"
    path.write_bytes(b"not a database, and longer than the header of one" * 100)
    with pytest.raises(ChainFileRefused, match="damaged or not an embedded chain") as refusal:
        open_store(path)
    assert "backup" in refusal.value.remedy


def test_database_of_another_program_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite3"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE patients (name TEXT)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(ChainFileRefused, match="another program"):
        open_store(path)
    assert path.read_bytes() == before


def test_file_of_a_later_format_is_refused(store: ChainStore, tmp_path: Path) -> None:
    with store.transaction():
        store.connection.execute("UPDATE setting SET value = '2' WHERE name = 'format'")
    store.close()
    with pytest.raises(ChainFileRefused, match="format 2"):
        open_store(tmp_path / "chain.sqlite3")


def test_truncated_file_is_refused(store: ChainStore, tmp_path: Path) -> None:
    store.close()
    path = tmp_path / "chain.sqlite3"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ChainFileRefused):
        open_store(path)


def _copy_files(directory: Path, name: str) -> Path:
    target = directory / name
    target.mkdir()
    for file in directory.glob("chain.sqlite3*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, target)
    return target / "chain.sqlite3"


def _read_key(path: Path) -> bytes:
    store = open_store(path)
    try:
        return store.nodes[KEY]
    finally:
        store.close()
