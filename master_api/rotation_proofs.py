"""Which key speaks for a device is proven by the device, never by what a gateway says (``docs/protocol.md`` §7).

A gateway or node that lies could tell of a ``Rotated`` event that never was, and so hand a member's id to a key of its
own. The master believes a change of key only with the signatures of both keys. It keeps them before the contract hears
of the change; a store that was put back from an older backup gets them from the device. A lie without them can keep the
device out while it lasts, and nothing more.
"""

from collections.abc import Mapping

from sqlalchemy import Connection

from group_protocol.crypto.keys import recover_address, verify_signature
from group_protocol.errors import VerificationError
from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.key_changes import KeyHistory
from group_protocol.typed_data import TypedDataDomain
from master_api.current_group import FormedGroup
from master_api.store.devices import DeviceRow, fetch_keys_of, set_address
from master_api.store.rotations import RotationRow, fetch_rotations, keep_rotation


def verify_rotation(rotation: RotationRow, domain: TypedDataDomain, gid: GroupId) -> None:
    """Check both signatures of a change of key.

    Raises:
        VerificationError: One of them is another key's.
    """
    digest = domain.rotation_digest(gid, rotation.oid, rotation.new_address, rotation.deadline_unix_s)
    verify_signature(digest, rotation.by_old, rotation.old_address)
    verify_signature(digest, rotation.by_new, rotation.new_address)


def find_proof(
    rotations: Mapping[Address, RotationRow], group: FormedGroup, oid: ObjectId, old: Address, new: Address
) -> list[RotationRow]:
    """The signatures that lead from one address of a device to another, the oldest first; empty if none do."""
    steps: list[RotationRow] = []
    address = new
    for _ in range(len(rotations)):
        rotation = rotations.get(address)
        if rotation is None or rotation.oid != oid:
            return []
        try:
            verify_rotation(rotation, group.domain, group.gid)
        except VerificationError:
            return []
        steps.insert(0, rotation)
        if rotation.old_address == old:
            return steps
        address = rotation.old_address
    return []


def is_change_proven(
    rotations: Mapping[Address, RotationRow], group: FormedGroup, oid: ObjectId, old: Address, new: Address
) -> bool:
    """Whether kept signatures lead from one address of a device to another, in one step or several."""
    return bool(find_proof(rotations, group, oid, old, new))


def read_history(history: KeyHistory, group: FormedGroup) -> dict[Address, RotationRow]:
    """What a device shows of its changes of key, by their new address, in the form in which they are kept.

    Raises:
        VerificationError: A signature is none at all.
    """
    rotations = {}
    for change in history.changes:
        digest = group.domain.rotation_digest(group.gid, history.oid, change.new_address, change.deadline_unix_s)
        rotations[change.new_address] = RotationRow(
            oid=history.oid,
            new_address=change.new_address,
            old_address=recover_address(digest, change.by_old),
            deadline_unix_s=change.deadline_unix_s,
            by_old=change.by_old,
            by_new=change.by_new,
        )
    return rotations


def change_keys(
    connection: Connection, group: FormedGroup, device: DeviceRow, address: Address, epoch: int
) -> list[RotationRow]:
    """Bring the store to a device's present address, by kept signatures alone.

    Of several changes at once the last is in force from ``epoch`` on, and each before it from one epoch less: every
    change has raised the epoch.

    Answers the changes that were made; none if the signatures do not lead there.
    """
    steps = find_proof(fetch_rotations(connection, device.oid), group, device.oid, device.address, address)
    newest_epoch = fetch_keys_of(connection, device.oid)[-1].from_epoch
    for behind, step in zip(reversed(range(len(steps))), steps, strict=True):
        newest_epoch = max(epoch - behind, newest_epoch + 1)
        set_address(connection, device.oid, step.new_address, newest_epoch)
    return steps


def keep_all(connection: Connection, steps: list[RotationRow]) -> None:
    """Keep what a device showed, once it is checked."""
    for step in steps:
        keep_rotation(connection, step)
