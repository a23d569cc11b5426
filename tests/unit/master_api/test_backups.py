"""Backups: what is in them, what is refused, and the one instant that they show."""

import json
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError, StoreError
from master_api.backups.making import Sources, find_sources, make_backup
from master_api.backups.manifest import Manifest
from master_api.backups.restoring import restore_backup
from master_api.backups.snapshot import copy_snapshot, snapshots
from master_api.config import MasterConfig
from master_api.folder_lock import locked_folder
from master_api.key_file import write_plain_key
from master_api.private_files import ensure_private_folder
from master_api.store.schema import SCHEMA_VERSION
from master_api.store.store import Store
from tests.support.running_master import MASTER_KEY

CHAIN = "gateway/chain/chain.sqlite3"


def make_database(path: Path, rows: int = 1) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (n INTEGER)")
        database.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(rows)])
    database.close()


def count_rows(path: Path) -> int:
    with sqlite3.connect(path) as database:
        return int(database.execute("SELECT count(*) FROM t").fetchone()[0])


@pytest.fixture
def config(tmp_path: Path) -> MasterConfig:
    """A master that was set up, with a chain, settings, and what no backup wants."""
    config = MasterConfig(tmp_path / "m")
    ensure_private_folder(config.data_dir)
    write_plain_key(config.data_dir, MASTER_KEY)
    Store(config.resolved_store_url).close()
    make_database(config.data_dir / CHAIN)
    (config.data_dir / "gateway/deployment.json").write_text("{}")
    (config.data_dir / "gateway/gateway.lock").write_text("1")
    (config.data_dir / "gateway/deployment.json.new").write_text("half")
    (config.data_dir / "master.toml").write_text("port = 3001\n")
    (config.data_dir / "holiday.jpg").write_text("no part of a master")
    return config


def sources_of(config: MasterConfig) -> Sources:
    return find_sources(config, config.data_dir / "gateway", config.data_dir / "master.toml")


@pytest.fixture
def archive(config: MasterConfig, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    make_backup(sources_of(config), path)
    return path


def rewrite(archive: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The same archive with other members; None leaves one out."""
    changed = archive.with_name("changed.tar")
    with tarfile.open(archive) as source, tarfile.open(changed, "w") as target:
        for member in source:
            file = source.extractfile(member)
            assert file is not None
            content = change(member.name, file.read())
            if content is not None:
                member.size = len(content)
                draft = archive.with_name("member")
                draft.write_bytes(content)
                with draft.open("rb") as again:
                    target.addfile(member, again)
    return changed


def change_manifest(archive: Path, **fields: object) -> Path:
    return rewrite(
        archive,
        lambda name, content: json.dumps(json.loads(content) | fields).encode() if name == "manifest.json" else content,
    )


def test_backup_holds_the_master_and_restores_to_the_same(config: MasterConfig, archive: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    restored = MasterConfig(tmp_path / "new")
    manifest = restore_backup(archive, restored)
    names = {part.name for part in manifest.parts}
    assert names == {"master.key", "master.sqlite3", "master.toml", CHAIN, "gateway/deployment.json"}
    assert manifest.master == "0x" + MASTER_KEY.address.hex()
    assert (manifest.schema_version, manifest.store, manifest.gid) == (SCHEMA_VERSION, "sqlite", "")
    for name in names:
        assert stat.S_IMODE((restored.data_dir / name).stat().st_mode) == 0o600, name
    for name in ("master.key", "master.toml"):
        assert (restored.data_dir / name).read_bytes() == (config.data_dir / name).read_bytes()
    assert count_rows(restored.data_dir / CHAIN) == 1
    Store(restored.resolved_store_url, may_create=False).close()
    assert not (restored.data_dir / ".restoring").exists()


def test_chain_and_store_are_of_one_instant_and_writers_go_on(tmp_path: Path) -> None:
    chain, store = tmp_path / "chain.sqlite3", tmp_path / "store.sqlite3"
    make_database(chain, 3)
    make_database(store, 5)
    with snapshots([chain], [store]) as opened:
        for path in (chain, store):
            with sqlite3.connect(path, timeout=0) as database:
                database.execute("INSERT INTO t VALUES (99)")
        for path in (chain, store):
            copy_snapshot(path.name, opened[path], path.with_suffix(".copy"))
    assert (count_rows(chain), count_rows(store)) == (4, 6)
    assert (count_rows(chain.with_suffix(".copy")), count_rows(store.with_suffix(".copy"))) == (3, 5)


def test_chain_that_is_being_written_is_waited_for_not_copied_in_between(tmp_path: Path) -> None:
    chain = tmp_path / "chain.sqlite3"
    make_database(chain)
    writer = sqlite3.connect(chain, isolation_level=None, timeout=0)
    held: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("master_api.backups.snapshot._LOCK_TIMEOUT_S", 0.01)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"), snapshots([chain], []):
            held.append("never")
        writer.execute("ROLLBACK")
    writer.close()
    assert held == []


def test_existing_file_is_not_overwritten(config: MasterConfig, archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(ConfigurationError, match="exists already"):
        make_backup(sources_of(config), archive)
    assert archive.read_bytes() == before


def test_damaged_store_is_named_and_makes_no_backup(config: MasterConfig, tmp_path: Path) -> None:
    store = config.data_dir / "master.sqlite3"
    content = bytearray(store.read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\xa5" * 4096
    store.write_bytes(content)
    with pytest.raises(StoreError, match=r"master\.sqlite3"):
        make_backup(sources_of(config), tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


@pytest.mark.parametrize("part", ["master.key", "master.sqlite3", CHAIN])
def test_damaged_part_is_named_and_the_folder_stays_empty(archive: Path, tmp_path: Path, part: str) -> None:
    def flip_last_bit(name: str, content: bytes) -> bytes:
        return content[:-1] + bytes([content[-1] ^ 1]) if name == part else content

    changed = rewrite(archive, flip_last_bit)
    refused_by_name(changed, tmp_path / "new", part)


@pytest.mark.parametrize("part", ["master.key", CHAIN])
def test_missing_part_is_named(archive: Path, tmp_path: Path, part: str) -> None:
    refused_by_name(rewrite(archive, lambda name, content: None if name == part else content), tmp_path / "new", part)


def test_archive_that_was_cut_short_names_the_part(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as whole:
        at = whole.getmember("master.sqlite3").offset_data
    cut = tmp_path / "cut.tar"
    cut.write_bytes(archive.read_bytes()[: at + 700])
    refused_by_name(cut, tmp_path / "new", "master.sqlite3")


def refused_by_name(archive: Path, folder: Path, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told.replace(".", r"\.")):
        restore_backup(archive, MasterConfig(folder))
    assert [path.name for path in folder.iterdir()] == ["master.lock"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"schema_version": SCHEMA_VERSION + 1, "version": "99.0"}, f"schema {SCHEMA_VERSION + 1}"),
        ({"format": 2}, "format 2"),
        ({"parts": [{"name": "../../x", "size_bytes": 1, "sha256": ""}]}, "is no place"),
        ({"parts": [{"name": "/etc/x", "size_bytes": 1, "sha256": ""}]}, "is no place"),
        ({"parts": [7]}, "cannot be read"),
        ({"parts": []}, "more than its manifest names"),
        ({"colour": "red"}, "cannot be read"),
    ],
)
def test_manifest_that_is_wrong_or_newer_is_refused(
    archive: Path, tmp_path: Path, fields: dict[str, object], told: str
) -> None:
    refused_by_name(change_manifest(archive, **fields), tmp_path / "new", told)


def test_file_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"GIF89a" * 200)
    refused_by_name(tmp_path / "x.tar", tmp_path / "new", "is no backup")


def test_folder_with_anything_in_it_or_at_work_is_refused(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    ensure_private_folder(folder)
    with locked_folder(folder), pytest.raises(ConfigurationError, match="another vgroup process"):
        restore_backup(archive, MasterConfig(folder))
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"not empty: it holds letter\.txt"):
        restore_backup(archive, MasterConfig(folder))
    assert (folder / "letter.txt").read_text() == "mine"


def test_store_in_another_database_is_left_to_its_own_tool(config: MasterConfig, tmp_path: Path) -> None:
    elsewhere = MasterConfig(config.data_dir, store_url="postgresql+psycopg://u:secret@db/vgroup")
    sources = sources_of(elsewhere)
    assert (sources.store, sources.store_kind) == ({}, "postgresql")
    manifest: Manifest = make_backup(sources, tmp_path / "b.tar")
    assert (manifest.store, manifest.schema_version) == ("postgresql", 0)
    assert "master.sqlite3" not in {part.name for part in manifest.parts}


def test_master_without_a_chain_yet_is_backed_up_too(tmp_path: Path) -> None:
    config = MasterConfig(tmp_path / "young")
    ensure_private_folder(config.data_dir)
    write_plain_key(config.data_dir, MASTER_KEY)
    Store(config.resolved_store_url).close()
    manifest = make_backup(sources_of(config), tmp_path / "b.tar")
    assert [part.name for part in manifest.parts] == ["master.key", "master.sqlite3"]
    restore_backup(tmp_path / "b.tar", MasterConfig(tmp_path / "new"))


def test_key_file_that_others_can_read_is_refused(config: MasterConfig) -> None:
    (config.data_dir / "master.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="others may read it"):
        sources_of(config)
