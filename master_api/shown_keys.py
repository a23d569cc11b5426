"""A device shows how it came to a key that this store does not know (``docs/protocol.md`` §7.2, ADR 0028).

The store was put back from a backup that is older than the change, or somebody else carried the change to the contract.
Nothing is believed that the register alone says, nor what the device alone says: the register has to name this key, and
signatures have to lead to it from the key that the store knows.
"""

from sqlalchemy import Connection

from group_protocol.errors import VerificationError
from group_protocol.handshake import Identity
from master_api.audit import AuditKind, Detail
from master_api.context import MasterContext
from master_api.current_group import FormedGroup
from master_api.rotation_proofs import change_keys, find_proof, keep_all, read_history
from master_api.store.devices import DeviceRow, fetch_device


async def take_shown_key(context: MasterContext, group: FormedGroup, identity: Identity) -> DeviceRow | None:
    """The device of this identity, under its new key from now on; None if it does not prove that.

    A stranger costs no signature check: the register has to name his key first.

    Raises:
        RegistryInconsistent, StoreError: As they say.
    """
    history = identity.key_history
    if history is None:
        return None
    view = context.registry.membership().objects.get(history.oid)
    if view is None or view.gid != group.gid or view.account != identity.address:
        return None
    try:
        shown = read_history(history, group)
    except VerificationError:
        return None
    epoch = context.group.view().epoch

    def take(connection: Connection) -> DeviceRow | None:
        device = fetch_device(connection, history.oid)
        if device is None:
            return None
        steps = find_proof(shown, group, device.oid, device.address, identity.address)
        keep_all(connection, steps)
        if not change_keys(connection, group, device, identity.address, epoch):
            return None
        detail: Detail = {
            "oid": device.oid.hex(),
            "new_address": identity.address.hex(),
            "epoch": epoch,
            "shown_by": "the device",
        }
        context.audit.append(connection, AuditKind.DEVICE_ROTATED, detail)
        return fetch_device(connection, history.oid)

    device = await context.store.write(take)
    if device is not None:
        await context.disputes.judge(device, view)
    return device
