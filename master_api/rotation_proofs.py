"""Which key speaks for a device is proven by the device, never by what a gateway says (``docs/protocol.md`` §7.1).

A gateway or node that lies could tell of a ``Rotated`` event that never was, and so hand a member's id to a key of its
own. The master believes a change of key only with the signatures of both keys, which it kept before the contract heard
of the change; a lie without them can keep the device out, and nothing more.
"""

from collections.abc import Mapping

from group_protocol.crypto.keys import verify_signature
from group_protocol.errors import VerificationError
from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.typed_data import TypedDataDomain
from master_api.current_group import FormedGroup
from master_api.store.rotations import RotationRow


def verify_rotation(rotation: RotationRow, domain: TypedDataDomain, gid: GroupId) -> None:
    """Check both signatures of a change of key.

    Raises:
        VerificationError: One of them is another key's.
    """
    digest = domain.rotation_digest(gid, rotation.oid, rotation.new_address, rotation.deadline_unix_s)
    verify_signature(digest, rotation.by_old, rotation.old_address)
    verify_signature(digest, rotation.by_new, rotation.new_address)


def is_change_proven(
    rotations: Mapping[Address, RotationRow], group: FormedGroup, oid: ObjectId, old: Address, new: Address
) -> bool:
    """Whether kept signatures lead from one address of a device to another, in one step or several."""
    address = new
    for _ in range(len(rotations)):
        rotation = rotations.get(address)
        if rotation is None or rotation.oid != oid:
            return False
        try:
            verify_rotation(rotation, group.domain, group.gid)
        except VerificationError:
            return False
        if rotation.old_address == old:
            return True
        address = rotation.old_address
    return False
