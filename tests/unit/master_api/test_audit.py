from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import ConfigurationError
from master_api.audit import AuditBroken, AuditHead, AuditKind, AuditLog, Detail, canonical_json, fetch_newest
from master_api.store import schema
from master_api.store.store import Store
from tests.support.seeded import ManualClock

KEY = PrivateKey.from_secret(bytes.fromhex("11" * 32))
OTHER_KEY = PrivateKey.from_secret(bytes.fromhex("12" * 32))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'audit.sqlite3'}")
    yield store
    store.close()


@pytest.fixture
def audit() -> AuditLog:
    return AuditLog(KEY, ManualClock())


def fill(store: Store, audit: AuditLog, entries: int = 5) -> AuditHead:
    head = AuditHead(0, bytes(32))
    for number in range(entries):
        detail: Detail = {"n": number}
        head = store.write_now(partial(audit.append, kind=AuditKind.SESSION_OPENED, detail=detail))
    return head


def test_untouched_log_verifies_and_answers_its_head(store: Store, audit: AuditLog) -> None:
    head = fill(store, audit)
    assert store.read_now(audit.verify) == head
    assert head.number == 5


def test_empty_log_verifies(store: Store, audit: AuditLog) -> None:
    assert store.read_now(audit.verify) == AuditHead(0, bytes(32))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("detail", '{"n":7}'),
        ("detail", '{"n": 2}'),
        ("detail", "é"),
        ("kind", "group.created"),
        ("at_unix_ms", 0),
        ("at_unix_ms", -1),
        ("entry_hash", bytes(32)),
    ],
)
def test_altered_entry_is_named(store: Store, audit: AuditLog, column: str, value: object) -> None:
    fill(store, audit)
    table = schema.audit
    store.write_now(lambda c: c.execute(update(table).where(table.c.number == 3).values({column: value})))
    with pytest.raises(AuditBroken) as raised:
        store.read_now(audit.verify)
    assert raised.value.number == 3


@pytest.mark.parametrize("number", [1, 3, 4])
def test_removed_entry_is_named(store: Store, audit: AuditLog, number: int) -> None:
    fill(store, audit)
    store.write_now(lambda c: c.execute(delete(schema.audit).where(schema.audit.c.number == number)))
    with pytest.raises(AuditBroken) as raised:
        store.read_now(audit.verify)
    assert raised.value.number == number


def renumber(store: Store, old: int, new: int) -> None:
    table = schema.audit
    store.write_now(lambda c: c.execute(update(table).where(table.c.number == old).values(number=new)))


def test_reordered_entries_are_named(store: Store, audit: AuditLog) -> None:
    fill(store, audit)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        renumber(store, old, new)
    with pytest.raises(AuditBroken) as raised:
        store.read_now(audit.verify)
    assert raised.value.number == 2


@pytest.mark.parametrize("kept", [4, 1, 0])
def test_entries_cut_off_the_end_are_noticed(store: Store, audit: AuditLog, kept: int) -> None:
    fill(store, audit)
    store.write_now(lambda c: c.execute(delete(schema.audit).where(schema.audit.c.number > kept)))
    with pytest.raises(AuditBroken) as raised:
        store.read_now(audit.verify)
    assert raised.value.number == kept + 1


def test_head_forged_without_the_masters_key_is_noticed(store: Store, audit: AuditLog) -> None:
    fill(store, audit)
    shorter = store.read_now(lambda c: c.execute(select(schema.audit).where(schema.audit.c.number == 3)).one())
    store.write_now(lambda c: c.execute(delete(schema.audit).where(schema.audit.c.number > 3)))
    store.write_now(lambda c: c.execute(update(schema.audit_head).values(number=3, entry_hash=shorter.entry_hash)))
    with pytest.raises(AuditBroken, match="not sealed with this master's key"):
        store.read_now(audit.verify)


def test_missing_head_is_noticed(store: Store, audit: AuditLog) -> None:
    fill(store, audit)
    store.write_now(lambda c: c.execute(delete(schema.audit_head)))
    with pytest.raises(AuditBroken, match="head is gone"):
        store.read_now(audit.verify)


def test_entry_appended_behind_the_head_is_noticed(store: Store, audit: AuditLog) -> None:
    fill(store, audit)
    forged = AuditLog(OTHER_KEY, ManualClock())
    store.write_now(lambda c: forged.append(c, AuditKind.GROUP_CREATED, {}))
    with pytest.raises(AuditBroken):
        store.read_now(audit.verify)


def test_older_copy_of_the_whole_log_is_noticed_against_a_noted_head(store: Store, audit: AuditLog) -> None:
    noted = fill(store, audit)
    assert store.read_now(lambda c: audit.verify(c, noted)) == noted
    fill(store, audit, 2)
    assert store.read_now(lambda c: audit.verify(c, noted)).number == 7
    with pytest.raises(AuditBroken, match="no longer contains"):
        store.read_now(lambda c: audit.verify(c, AuditHead(9, noted.entry_hash)))
    with pytest.raises(AuditBroken, match="no longer contains"):
        store.read_now(lambda c: audit.verify(c, AuditHead(5, bytes(32))))


def test_entry_and_change_commit_together_or_not_at_all(store: Store, audit: AuditLog) -> None:
    def job(connection: object) -> None:
        audit.append(connection, AuditKind.GROUP_CREATED, {})  # type: ignore[arg-type]
        raise ConfigurationError("no")

    with pytest.raises(ConfigurationError):
        store.write_now(job)
    assert store.read_now(audit.verify).number == 0


def test_detail_is_canonical() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"\\u00e9","b":1}'
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"a": float("nan")})


def test_newest_entries_come_oldest_first(store: Store, audit: AuditLog) -> None:
    fill(store, audit)
    assert [entry.number for entry in store.read_now(lambda c: fetch_newest(c, 3))] == [3, 4, 5]


@pytest.mark.parametrize("text", ["", "5", "x:00", "5:zz", "-1:" + "00" * 32, "5:00"])
def test_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        AuditHead.parse_optional(text)


def test_head_survives_its_text() -> None:
    head = AuditHead(5, bytes(range(32)))
    assert AuditHead.parse_optional(head.to_text()) == head
    assert AuditHead.parse_optional(None) is None


def test_inserted_entry_is_noticed(store: Store, audit: AuditLog) -> None:
    fill(store, audit)
    row = {"number": 6, "at_unix_ms": 0, "kind": "x", "detail": "{}", "entry_hash": bytes(32)}
    store.write_now(lambda c: c.execute(insert(schema.audit).values(**row)))
    with pytest.raises(AuditBroken) as raised:
        store.read_now(audit.verify)
    assert raised.value.number == 6
