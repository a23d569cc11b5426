"""The audit log: entries chained by hash, the newest one sealed under a key.

```
entry hash = H(lp("vgroup/1 audit", previous entry hash, u64(number), u64(unix ms), kind, detail))
             the first entry's previous hash is 0^32
seal       = HMAC(Derive(master secret, "audit head", ""), lp(u64(number), entry hash))     of the newest entry
```
``number`` counts from 1 without gaps; ``detail`` is canonical JSON (sorted names, no spaces, ASCII). An altered,
removed or reordered entry breaks the chain at a place that :meth:`AuditLog.verify` names. Cutting entries off the end
leaves a good chain; but the sealed head, in the same database, then names an entry that is gone, and whoever holds
the database but not the master's key cannot seal another. Putting back an older copy of the *whole* database is
noticed only against a head that was noted elsewhere: ``vgroup audit verify`` prints it, and takes it back by
``--head``.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from sqlalchemy import Connection, delete, insert, select

from group_protocol.crypto.kdf import derive, hmac_sha256, is_equal, sha256
from group_protocol.crypto.keys import PrivateKey
from group_protocol.encoding import lp, u64
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, VirtualGroupError
from group_protocol.identifiers import HASH_BYTES
from group_protocol.ports import Clock
from master_api.store import schema

FIRST_PREVIOUS = bytes(HASH_BYTES)
_ROWS_AT_A_TIME = 1_000

Detail = Mapping[str, str | int | float | bool | None]


class AuditKind(StrEnum):
    """What happened."""

    MASTER_STARTED = "master.started"
    MASTER_STOPPED = "master.stopped"
    GROUP_CREATED = "group.created"
    INVITATION_MADE = "invitation.made"
    INVITATION_USED = "invitation.used"
    INVITATION_WRONG_PROOF = "invitation.wrong_proof"
    INVITATION_LOCKED = "invitation.locked"
    DEVICE_ENROLLED = "device.enrolled"
    DEVICE_ASSOCIATED = "device.associated"
    DEVICE_ROTATED = "device.rotated"
    DEVICE_BANNED = "device.banned"
    BAN_LIFTED = "device.ban_lifted"
    DEVICE_REVOKED = "device.revoked"
    DEVICE_DISPUTED = "device.disputed"
    DISPUTE_ENDED = "device.dispute_ended"
    REVOCATION_SETTLED = "revocation.settled"
    ASSOCIATION_UNDONE = "association.undone"
    CHAIN_AWAY = "chain.away"
    CHAIN_BACK = "chain.back"
    MASTER_ROTATED = "master.rotated"
    SESSION_OPENED = "session.opened"
    PEER_REFUSED = "peer.refused"
    MESSAGES_DROPPED = "messages.dropped"
    MESSAGE_REFUSED = "message.refused"
    RECORDS_ANCHORED = "records.anchored"


class AuditBroken(VirtualGroupError):
    """The log does not hold.

    Attributes:
        number: The first entry that does not.
    """

    default_code = ErrorCode.AUDIT_BROKEN

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"audit entry {number}: {message}")
        self.number = number


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the log; ``detail`` is canonical JSON."""

    number: int
    at_unix_ms: int
    kind: str
    detail: str
    entry_hash: bytes


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest entry: how many there are, and the hash that stands for all. An empty log has 0 and 32 zero bytes."""

    number: int
    entry_hash: bytes

    def to_text(self) -> str:
        """``number:hash in hex``, to be noted elsewhere."""
        return f"{self.number}:{self.entry_hash.hex()}"

    @classmethod
    def parse_optional(cls, text: str | None) -> Self | None:
        """Take such a text back; None for none.

        Raises:
            ConfigurationError: It is none.
        """
        if text is None:
            return None
        number, _, entry_hash = text.strip().partition(":")
        try:
            head = cls(int(number), bytes.fromhex(entry_hash))
        except ValueError as exc:
            raise ConfigurationError(
                f"{text!r} is no head of an audit log", remedy="Write number:hash.", code=ErrorCode.ARGUMENT_WRONG
            ) from exc
        if head.number < 0 or len(head.entry_hash) != HASH_BYTES:
            raise ConfigurationError(
                f"{text!r} is no head of an audit log", remedy="Write number:hash.", code=ErrorCode.ARGUMENT_WRONG
            )
        return head


def canonical_json(detail: Detail) -> str:
    """Names sorted, no spaces, ASCII: one text for one value."""
    return json.dumps(dict(detail), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def derive_entry_hash(previous: bytes, number: int, at_unix_ms: int, kind: str, detail: str) -> bytes:
    """32 bytes; see the module's formula."""
    return sha256(
        lp(b"vgroup/1 audit", previous, u64(number), u64(at_unix_ms), kind.encode("ascii"), detail.encode("ascii"))
    )


class AuditLog:
    """Appends entries inside the transaction of what they tell about."""

    def __init__(self, key: PrivateKey, clock: Clock) -> None:
        self._seal_key = derive(key.secret, "audit head")
        self._clock = clock

    def take_key(self, key: PrivateKey) -> None:
        """Seal with another key from now on; the caller appends in the same transaction, so that the head is sealed."""
        self._seal_key = derive(key.secret, "audit head")

    def append(self, connection: Connection, kind: AuditKind, detail: Detail) -> AuditHead:
        """Add an entry and move the sealed head. Runs on the store's writer, so no two meet."""
        head = fetch_head(connection)
        number = head.number + 1
        at_unix_ms = int(self._clock.now_unix_s() * 1000)
        text = canonical_json(detail)
        entry_hash = derive_entry_hash(head.entry_hash, number, at_unix_ms, kind, text)
        connection.execute(
            insert(schema.audit).values(
                number=number, at_unix_ms=at_unix_ms, kind=str(kind), detail=text, entry_hash=entry_hash
            )
        )
        new_head = AuditHead(number, entry_hash)
        connection.execute(delete(schema.audit_head))
        connection.execute(
            insert(schema.audit_head).values(id=1, number=number, entry_hash=entry_hash, seal=self._seal(new_head))
        )
        return new_head

    def verify(self, connection: Connection, expected: AuditHead | None = None) -> AuditHead:
        """Check chain, numbers and sealed head.

        Args:
            connection: A reading one, whose snapshot does not move meanwhile.
            expected: A head that was noted before; the log must still contain it.

        Raises:
            AuditBroken: Names the first entry that is altered, missing or out of order.
        """
        found, expected_hash = _verify_chain(_fetch_entries(connection), expected)
        row = connection.execute(select(schema.audit_head)).one_or_none()
        if row is None and found.number:
            raise AuditBroken(found.number, "the sealed head is gone")
        sealed = AuditHead(row.number, row.entry_hash) if row is not None else AuditHead(0, FIRST_PREVIOUS)
        if row is not None and not is_equal(self._seal(sealed), row.seal):
            raise AuditBroken(sealed.number, "the sealed head was not sealed with this master's key")
        if sealed.number > found.number:
            raise AuditBroken(found.number + 1, f"it and all after it up to {sealed.number} are gone")
        if sealed != found:
            raise AuditBroken(sealed.number, "the sealed head names another entry")
        if expected is not None and expected_hash != expected.entry_hash:
            raise AuditBroken(expected.number, "the log no longer contains the head that was noted")
        return found

    def _seal(self, head: AuditHead) -> bytes:
        return hmac_sha256(self._seal_key, lp(u64(head.number), head.entry_hash))


def fetch_head(connection: Connection) -> AuditHead:
    """The newest entry as the sealed row names it, unchecked."""
    row = connection.execute(select(schema.audit_head.c.number, schema.audit_head.c.entry_hash)).one_or_none()
    return AuditHead(row.number, row.entry_hash) if row is not None else AuditHead(0, FIRST_PREVIOUS)


def fetch_newest(connection: Connection, limit: int) -> list[AuditEntry]:
    """The newest entries, oldest first."""
    rows = connection.execute(select(schema.audit).order_by(schema.audit.c.number.desc()).limit(limit))
    return [AuditEntry(*row) for row in rows][::-1]


def _fetch_entries(connection: Connection) -> Iterable[AuditEntry]:
    rows = connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(
        select(schema.audit).order_by(schema.audit.c.number)
    )
    for row in rows:
        yield AuditEntry(*row)


def _verify_chain(entries: Iterable[AuditEntry], expected: AuditHead | None) -> tuple[AuditHead, bytes | None]:
    """The head that the entries lead to, and the hash at the expected number (None if there is no such entry)."""
    head = AuditHead(0, FIRST_PREVIOUS)
    expected_hash = FIRST_PREVIOUS if expected is not None and expected.number == 0 else None
    for entry in entries:
        number = head.number + 1
        if entry.number != number:
            raise AuditBroken(number, "it is missing")
        if not entry.detail.isascii() or not entry.kind.isascii() or entry.at_unix_ms < 0:
            raise AuditBroken(number, "it was altered")
        if derive_entry_hash(head.entry_hash, number, entry.at_unix_ms, entry.kind, entry.detail) != entry.entry_hash:
            raise AuditBroken(number, "it or the one before it was altered")
        head = AuditHead(number, entry.entry_hash)
        if expected is not None and number == expected.number:
            expected_hash = entry.entry_hash
    return head, expected_hash
