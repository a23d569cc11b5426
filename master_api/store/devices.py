"""Enrolled devices and the keys they have had."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert, select, update

from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.tickets import MembershipState
from master_api.store import schema


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device that was paired with this master.

    Attributes:
        address: Its present one; ``device_keys`` has the former ones.
        state: As the registry's events last said; REVOKED by an order of this master's operator, and for good.
        association_transaction: 32 bytes, once associated.
    """

    oid: ObjectId
    gid: GroupId
    address: Address
    name: str
    state: MembershipState
    enrolled_at_unix_s: float
    association_transaction: bytes | None = None
    association_block: int | None = None
    last_seen_unix_s: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceKeyRow:
    """``address`` signs the device's records from ``from_epoch`` on, until a later row."""

    oid: ObjectId
    from_epoch: int
    address: Address


def address_in_epoch(keys: Sequence[DeviceKeyRow], epoch: int) -> Address:
    """Whose signature is good for a device's records of an epoch.

    ``keys`` are its keys by rising epoch, at least one.
    """
    return [key.address for key in keys if key.from_epoch <= epoch or key is keys[0]][-1]


def insert_device(connection: Connection, device: DeviceRow) -> None:
    """Enrol a device; its first key is good from epoch 0, before the first epoch there is."""
    connection.execute(insert(schema.devices).values(**asdict(device)))
    connection.execute(insert(schema.device_keys).values(oid=device.oid, from_epoch=0, address=device.address))


def fetch_device(connection: Connection, oid: ObjectId) -> DeviceRow | None:
    """By oid."""
    row = connection.execute(select(schema.devices).where(schema.devices.c.oid == oid)).one_or_none()
    return _device(row) if row is not None else None


def fetch_device_by_address(connection: Connection, address: Address) -> DeviceRow | None:
    """By its present address: an address that was rotated away finds nothing."""
    row = connection.execute(select(schema.devices).where(schema.devices.c.address == address)).one_or_none()
    return _device(row) if row is not None else None


def fetch_devices(connection: Connection) -> list[DeviceRow]:
    """All, in the order in which they were enrolled."""
    return [
        _device(row) for row in connection.execute(select(schema.devices).order_by(schema.devices.c.enrolled_at_unix_s))
    ]


def fetch_device_keys(connection: Connection) -> dict[ObjectId, list[DeviceKeyRow]]:
    """Every key of every device, by rising epoch."""
    keys: dict[ObjectId, list[DeviceKeyRow]] = {}
    table = schema.device_keys
    for row in connection.execute(select(table).order_by(table.c.oid, table.c.from_epoch)):
        keys.setdefault(row.oid, []).append(DeviceKeyRow(*row))
    return keys


def fetch_keys_of(connection: Connection, oid: ObjectId) -> list[DeviceKeyRow]:
    """Every key of one device, by rising epoch."""
    table = schema.device_keys
    rows = connection.execute(select(table).where(table.c.oid == oid).order_by(table.c.from_epoch))
    return [DeviceKeyRow(*row) for row in rows]


def set_state(connection: Connection, oid: ObjectId, state: MembershipState) -> None:
    """What the registry says of the device now."""
    connection.execute(update(schema.devices).where(schema.devices.c.oid == oid).values(state=int(state)))


def set_association(connection: Connection, oid: ObjectId, transaction_hash: bytes, block_number: int) -> None:
    """The device is a member, by this transaction."""
    connection.execute(
        update(schema.devices)
        .where(schema.devices.c.oid == oid)
        .values(
            state=int(MembershipState.ACTIVE),
            association_transaction=transaction_hash,
            association_block=block_number,
        )
    )


def undo_association(connection: Connection, oid: ObjectId) -> None:
    """A fork took the transaction away: the device is no member."""
    connection.execute(
        update(schema.devices)
        .where(schema.devices.c.oid == oid)
        .values(state=int(MembershipState.NOT_ASSOCIATED), association_transaction=None, association_block=None)
    )


def set_address(connection: Connection, oid: ObjectId, address: Address, from_epoch: int) -> None:
    """The device has another key from this epoch on."""
    connection.execute(update(schema.devices).where(schema.devices.c.oid == oid).values(address=address))
    connection.execute(insert(schema.device_keys).values(oid=oid, from_epoch=from_epoch, address=address))


def set_last_seen(connection: Connection, oid: ObjectId, at_unix_s: float) -> None:
    """The device opened a session."""
    connection.execute(update(schema.devices).where(schema.devices.c.oid == oid).values(last_seen_unix_s=at_unix_s))


def _device(row: object) -> DeviceRow:
    device = DeviceRow(*row)  # type: ignore[misc] # a row unpacks in the order of the table's columns
    return DeviceRow(**(asdict(device) | {"state": MembershipState(device.state)}))
