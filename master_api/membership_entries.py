"""What the register says of the devices, entered into the store and the audit log, each change once.

All of it runs inside of a transaction of the store (:meth:`Store.write`).
"""

import logging

from sqlalchemy import Connection

from group_protocol.identifiers import Address, ObjectId
from group_protocol.membership import Associated, ObjectState, ObjectView
from group_protocol.tickets import MembershipState
from master_api.audit import AuditKind, AuditLog, Detail
from master_api.current_group import CurrentGroup
from master_api.rotation_proofs import change_keys
from master_api.store.devices import (
    DeviceRow,
    fetch_device,
    fetch_keys_of,
    set_association,
    set_state,
    undo_association,
)

_log = logging.getLogger("vgroup.master.membership")


class MembershipEntries:
    """Enters events, or what they would have told. An event may come again: then nothing changes."""

    def __init__(self, audit: AuditLog, group: CurrentGroup) -> None:
        self._audit = audit
        self._group = group

    def bring_up(self, connection: Connection, device: DeviceRow, view: ObjectView, epoch: int) -> None:
        """What events would have told, had they been heard; without their transactions."""
        if view.account != device.address:
            self.enter_rotation(connection, device.oid, view.account, epoch)
        # Revoked here is for good; revoked there is, until the operator has ordered it, the register's word.
        if view.state is ObjectState.SLAVE and device.state not in (MembershipState.ACTIVE, MembershipState.REVOKED):
            set_state(connection, device.oid, MembershipState.ACTIVE)
            self._audit.append(connection, AuditKind.DEVICE_ASSOCIATED, {"oid": device.oid.hex()})

    def enter_association(self, connection: Connection, event: Associated) -> None:
        """The device is associated, unless it was revoked here."""
        device = fetch_device(connection, event.oid)
        if device is None or device.association_transaction is not None or device.state is MembershipState.REVOKED:
            return
        set_association(connection, event.oid, event.at.transaction_hash, event.at.block_number)
        detail: Detail = {
            "oid": event.oid.hex(),
            "transaction": event.at.transaction_hash.hex(),
            "block": event.at.block_number,
        }
        self._audit.append(connection, AuditKind.DEVICE_ASSOCIATED, detail)

    def enter_undone(self, connection: Connection, oid: ObjectId) -> None:
        """A fork took the device's association: it has to associate again."""
        device = fetch_device(connection, oid)
        if device is not None and device.state is MembershipState.ACTIVE:
            undo_association(connection, oid)
            self._audit.append(connection, AuditKind.ASSOCIATION_UNDONE, {"oid": oid.hex()})

    def enter_rotation(self, connection: Connection, oid: ObjectId, address: Address, epoch: int) -> None:
        """The device has another key, if it has signed that it wants it."""
        device = fetch_device(connection, oid)
        if device is None or any(key.address == address for key in fetch_keys_of(connection, oid)):
            return  # an event may come again; no address is ever used twice
        if not change_keys(connection, self._group.require(), device, address, epoch):
            fields = {"oid": oid.hex(), "new_address": address.hex(), "epoch": epoch}
            _log.error("the registry tells of a change of key that the device never signed", extra={"fields": fields})
            return
        detail: Detail = {"oid": oid.hex(), "new_address": address.hex(), "epoch": epoch}
        self._audit.append(connection, AuditKind.DEVICE_ROTATED, detail)
