"""How each device stands, as its operator sees it, and what helps: each way of being out has its own remedy."""

from enum import StrEnum
from typing import Final

from group_protocol.tickets import MembershipState
from master_api.descriptions import JsonObject
from master_api.store.devices import DeviceRow


class DeviceStanding(StrEnum):
    """One of these for each device."""

    JOINING = "joining"
    """Paired, and not in the contract yet."""
    MEMBER = "member"
    EVICTED = "evicted"
    """Revoked in the contract by this operator's order: this identity never comes back."""
    DISPUTED = "disputed"
    """Shut out while the register says that it is revoked, or has another key: nobody here ordered or proved that."""
    BANNED = "banned"
    """Shut out by this master's operator, who may let it in again."""


REMEDIES: Final = {
    DeviceStanding.JOINING: "It goes on by itself; if it does not, look at the device: vgroup doctor",
    DeviceStanding.MEMBER: None,
    DeviceStanding.EVICTED: "It may be invited again, as a new device: vgroup device invite NAME",
    DeviceStanding.DISPUTED: "The register says so, and nobody here: vgroup explain membership-disputed",
    DeviceStanding.BANNED: "Lift the ban, and it goes on by itself: vgroup device unban NAME",
}
EXPIRED_REMEDY: Final = "Invite again: vgroup device invite NAME"
"""Of an invitation, which is the one thing here that expires: sessions and requests renew themselves."""


def stand(device: DeviceRow, *, is_banned: bool, is_disputed: bool) -> DeviceStanding:
    """Evicted outweighs the rest: it is for good. A ban is the operator's own, and can wait behind a dispute."""
    if device.state is MembershipState.REVOKED:
        return DeviceStanding.EVICTED
    if is_disputed:
        return DeviceStanding.DISPUTED
    if is_banned:
        return DeviceStanding.BANNED
    return DeviceStanding.MEMBER if device.state is MembershipState.ACTIVE else DeviceStanding.JOINING


def describe_standing(device: DeviceRow, *, is_banned: bool, is_disputed: bool) -> JsonObject:
    """For an operator."""
    standing = stand(device, is_banned=is_banned, is_disputed=is_disputed)
    return {"standing": standing.value, "remedy": REMEDIES[standing]}
