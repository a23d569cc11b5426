"""Invitations: pairing codes that were given out, and what became of them (``docs/protocol.md`` §4)."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import Connection, insert, select, update

from group_protocol.identifiers import ObjectId
from group_protocol.limits import PAIRING_WRONG_PROOFS_MAX
from master_api.store import schema


class InvitationState(StrEnum):
    """What an invitation is good for."""

    OPEN = "open"
    USED = "used"
    LOCKED = "locked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """One pairing code; the code itself is sealed, see :mod:`master_api.pairing_codes`."""

    code_id: bytes
    sealed_code: bytes
    device_name: str
    created_at_unix_s: float
    expires_at_unix_s: float
    wrong_proofs: int = 0
    used_by: ObjectId | None = None

    def state(self, now_unix_s: float) -> InvitationState:
        """What it is now. By a clock that stands before its making nobody can tell how old it is: then it is over."""
        if self.used_by is not None:
            return InvitationState.USED
        if self.wrong_proofs >= PAIRING_WRONG_PROOFS_MAX:
            return InvitationState.LOCKED
        return (
            InvitationState.OPEN
            if self.created_at_unix_s <= now_unix_s < self.expires_at_unix_s
            else InvitationState.EXPIRED
        )


def insert_invitation(connection: Connection, invitation: InvitationRow) -> None:
    """Keep a new invitation."""
    connection.execute(insert(schema.invitations).values(**asdict(invitation)))


def fetch_invitation(connection: Connection, code_id: bytes) -> InvitationRow | None:
    """By the 8-byte id that M3 names."""
    row = connection.execute(select(schema.invitations).where(schema.invitations.c.code_id == code_id)).one_or_none()
    return InvitationRow(*row) if row is not None else None


def fetch_invitations(connection: Connection) -> list[InvitationRow]:
    """All, oldest first."""
    rows = connection.execute(select(schema.invitations).order_by(schema.invitations.c.created_at_unix_s))
    return [InvitationRow(*row) for row in rows]


def count_wrong_proof(connection: Connection, code_id: bytes) -> int:
    """Count one more wrong proof; answers how many there have been."""
    table = schema.invitations
    connection.execute(update(table).where(table.c.code_id == code_id).values(wrong_proofs=table.c.wrong_proofs + 1))
    return int(connection.execute(select(table.c.wrong_proofs).where(table.c.code_id == code_id)).scalar_one())


def replace_sealed_code(connection: Connection, code_id: bytes, sealed_code: bytes) -> None:
    """The code is sealed under another key."""
    table = schema.invitations
    connection.execute(update(table).where(table.c.code_id == code_id).values(sealed_code=sealed_code))


def mark_used(connection: Connection, code_id: bytes, oid: ObjectId) -> None:
    """The invitation enrolled this device."""
    table = schema.invitations
    connection.execute(update(table).where(table.c.code_id == code_id).values(used_by=oid))
