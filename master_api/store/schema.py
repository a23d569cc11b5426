"""Tables. Byte columns have the widths of ``docs/protocol.md`` §1; times are unix seconds or milliseconds."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION: Final = 1
METADATA: Final = MetaData()
_ROW_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column of type INTEGER."""

schema_version: Final = Table("schema_version", METADATA, Column("version", Integer, primary_key=True))

groups: Final = Table(
    "groups",
    METADATA,
    Column("gid", LargeBinary(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("master_address", LargeBinary(20), nullable=False),
    Column("master_oid", LargeBinary(16), nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("contract", LargeBinary(20), nullable=False),
    Column("transaction_hash", LargeBinary(32), nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("created_at_unix_s", Float(53), nullable=False),
)

invitations: Final = Table(
    "invitations",
    METADATA,
    Column("code_id", LargeBinary(8), primary_key=True),
    Column("sealed_code", LargeBinary, nullable=False),  # see master_api.pairing_codes
    Column("device_name", String(64), nullable=False),
    Column("created_at_unix_s", Float(53), nullable=False),
    Column("expires_at_unix_s", Float(53), nullable=False),
    Column("wrong_proofs", SmallInteger, nullable=False),
    Column("used_by", LargeBinary(16), ForeignKey("devices.oid")),
)

devices: Final = Table(
    "devices",
    METADATA,
    Column("oid", LargeBinary(16), primary_key=True),
    Column("gid", LargeBinary(16), ForeignKey("groups.gid"), nullable=False),
    Column("address", LargeBinary(20), nullable=False, unique=True),
    Column("name", String(64), nullable=False),
    Column("state", SmallInteger, nullable=False),  # MembershipState; REVOKED only by an order of the operator's
    Column("enrolled_at_unix_s", Float(53), nullable=False),
    Column("association_transaction", LargeBinary(32)),
    Column("association_block", BigInteger),
    Column("last_seen_unix_s", Float(53)),
)

device_keys: Final = Table(
    "device_keys",
    METADATA,
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), primary_key=True),
    Column("from_epoch", BigInteger, primary_key=True),
    Column("address", LargeBinary(20), nullable=False),
)
"""Every address a device has had, and the epoch from which its records are signed by it."""

bans: Final = Table(
    "bans",
    METADATA,
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), primary_key=True),
    Column("banned_at_unix_s", Float(53), nullable=False),
)
"""Devices that the operator has shut out until the ban is lifted. The contract knows nothing of it."""

device_software: Final = Table(
    "device_software",
    METADATA,
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), primary_key=True),
    Column("software", String(32), nullable=False),
)
"""The version of its program that each device last told."""

rotations: Final = Table(
    "rotations",
    METADATA,
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), primary_key=True),
    Column("new_address", LargeBinary(20), primary_key=True),
    Column("old_address", LargeBinary(20), nullable=False),
    Column("deadline_unix_s", BigInteger, nullable=False),
    Column("by_old", LargeBinary(64), nullable=False),
    Column("by_new", LargeBinary(64), nullable=False),
)
"""Changes of key that devices asked for, signed by both keys; kept before the contract hears of them."""

master_changes: Final = Table(
    "master_changes",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("old_address", LargeBinary(20), nullable=False, unique=True),
    Column("new_address", LargeBinary(20), nullable=False, unique=True),
    Column("deadline_unix_s", BigInteger, nullable=False),
    Column("by_old", LargeBinary(64), nullable=False),
    Column("by_new", LargeBinary(64), nullable=False),
    Column("is_in_force", SmallInteger, nullable=False),  # 0: signed, and the contract is not known to have it
)
"""Changes of the master's own key, signed by both keys: what a slave is shown that pinned an older one."""

waiting_associations: Final = Table(
    "waiting_associations",
    METADATA,
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), primary_key=True),
    Column("token", LargeBinary(64), nullable=False),
    Column("request", LargeBinary(64), nullable=False),
    Column("deadline_unix_s", BigInteger, nullable=False),
)
"""Associations that devices signed and that the chain has not confirmed: sent when it can be reached."""

ordered_revocations: Final = Table(
    "ordered_revocations",
    METADATA,
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), primary_key=True),
    Column("ordered_at_unix_s", Float(53), nullable=False),
    Column("block", BigInteger),  # NULL: not on the chain yet
)
"""Revocations that this master's operator ordered. They hold here from that moment on, whatever the chain says."""

disputes: Final = Table(
    "disputes",
    METADATA,
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), primary_key=True),
    Column("claim", String(16), nullable=False),  # master_api.store.disputes.Claim
    Column("account", LargeBinary(20), nullable=False),
    Column("since_unix_s", Float(53), nullable=False),
    Column("transaction_hash", LargeBinary(32)),
    Column("block", BigInteger),
)
"""What the register says of devices and nobody here ordered or proved: it holds while the register says so."""

chain_contact: Final = Table(
    "chain_contact",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at_unix_s", Float(53), nullable=False),
)
"""One row: when the chain last answered, so that a restart does not begin its time away anew."""

records: Final = Table(
    "records",
    METADATA,
    Column("number", _ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("receiver", LargeBinary(16), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("payload_hash", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(64)),  # NULL: a checkpoint covers it
    Column("sid", LargeBinary(16), nullable=False),
    Column("received_at_unix_s", Float(53), nullable=False),
    UniqueConstraint("oid", "seq"),
)

checkpoints: Final = Table(
    "checkpoints",
    METADATA,
    Column("oid", LargeBinary(16), ForeignKey("devices.oid"), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("running_hash", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
    Column("received_at_unix_s", Float(53), nullable=False),
    Index("ix_checkpoints_last_seq", "oid", "last_seq"),
)

audit: Final = Table(
    "audit",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_unix_ms", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", String, nullable=False),  # canonical JSON
    Column("entry_hash", LargeBinary(32), nullable=False),
)

audit_head: Final = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("entry_hash", LargeBinary(32), nullable=False),
    Column("seal", LargeBinary(32), nullable=False),
)
"""One row: the newest audit entry, under a MAC, so that cutting entries off the end is noticed."""

peer_queue: Final = Table(
    "peer_queue",
    METADATA,
    Column("number", _ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("receiver", LargeBinary(16), nullable=False),
    Column("sender", LargeBinary(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("queued_at_unix_s", Float(53), nullable=False),
    UniqueConstraint("sender", "seq"),
    Index("ix_peer_queue_receiver", "receiver", "sender", "number"),
    sqlite_autoincrement=True,  # a number is never given twice, even when the queue was empty in between
)
"""Peer messages that their receivers do not have yet; the records hold what they say."""

peer_counts: Final = Table(
    "peer_counts",
    METADATA,
    Column("receiver", LargeBinary(16), primary_key=True),
    Column("sender", LargeBinary(16), primary_key=True),
    Column("delivered", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
)
"""What became of the peer messages that do not wait any more."""

anchors: Final = Table(
    "anchors",
    METADATA,
    Column("from_record", BigInteger, primary_key=True, autoincrement=False),
    Column("to_record", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("leaves", LargeBinary, nullable=False),  # for each record u64(number) ‖ its leaf's hash (32)
    Column("created_at_unix_s", Float(53), nullable=False),
    Column("transaction_hash", LargeBinary(32)),  # NULL: on its way to the chain
    Column("block_number", BigInteger),
)
"""What was committed to the chain (protocol.md §10). The leaves' hashes name what was altered; the chain's root proves
that they themselves were not."""
