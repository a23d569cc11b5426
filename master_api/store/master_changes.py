"""Changes of the master's own key, with the signatures that prove them (``docs/protocol.md`` §3.5)."""

from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, delete, func, insert, select, update

from group_protocol.identifiers import Address, GroupId, Signature
from group_protocol.succession import MasterChange
from master_api.store import schema


@dataclass(frozen=True, slots=True)
class MasterChangeRow:
    """One change.

    Attributes:
        number: Counts from 1.
        is_in_force: The contract has it; until then it is told to nobody.
    """

    number: int
    old_address: Address
    new_address: Address
    deadline_unix_s: int
    by_old: Signature
    by_new: Signature
    is_in_force: bool = False

    @property
    def change(self) -> MasterChange:
        """As a slave is shown it."""
        return MasterChange(self.new_address, self.deadline_unix_s, self.by_old, self.by_new)


def keep_master_change(connection: Connection, row: MasterChangeRow) -> None:
    """Store a signed change before the contract hears of it, in the place of one that never came into force."""
    drop_pending_change(connection)
    connection.execute(insert(schema.master_changes).values(**asdict(row)))


def fetch_master_changes(connection: Connection) -> list[MasterChangeRow]:
    """All, the oldest first; at most the last is not in force."""
    table = schema.master_changes
    return [
        replace(MasterChangeRow(*row), is_in_force=bool(row.is_in_force))
        for row in connection.execute(select(table).order_by(table.c.number))
    ]


def fetch_pending_change(connection: Connection) -> MasterChangeRow | None:
    """The one that is signed and not in force."""
    return next((row for row in fetch_master_changes(connection) if not row.is_in_force), None)


def next_change_number(connection: Connection) -> int:
    """One above the highest that is in force."""
    table = schema.master_changes
    highest = connection.execute(select(func.max(table.c.number)).where(table.c.is_in_force == 1)).scalar_one()
    return int(highest or 0) + 1


def put_change_in_force(connection: Connection, gid: GroupId, new_address: Address) -> None:
    """The contract has it: the group is the new key's."""
    table = schema.master_changes
    connection.execute(update(table).where(table.c.new_address == new_address).values(is_in_force=1))
    connection.execute(update(schema.groups).where(schema.groups.c.gid == gid).values(master_address=new_address))


def drop_pending_change(connection: Connection) -> None:
    """Forget a change that never came into force."""
    connection.execute(delete(schema.master_changes).where(schema.master_changes.c.is_in_force == 0))
