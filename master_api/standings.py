"""How each device stands, as its operator sees it, and what helps: three ways of being out with three remedies."""

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
    """Revoked in the contract: this identity never comes back."""
    BANNED = "banned"
    """Shut out by this master's operator, who may let it in again."""


REMEDIES: Final = {
    DeviceStanding.JOINING: "It goes on by itself; if it does not, look at the device: vgroup doctor",
    DeviceStanding.MEMBER: None,
    DeviceStanding.EVICTED: "It may be invited again, as a new device: vgroup device invite NAME",
    DeviceStanding.BANNED: "Lift the ban, and it goes on by itself: vgroup device unban NAME",
}
EXPIRED_REMEDY: Final = "Invite again: vgroup device invite NAME"
"""Of an invitation, which is the one thing here that expires: sessions and requests renew themselves."""


def stand(device: DeviceRow, *, is_banned: bool) -> DeviceStanding:
    """Evicted outweighs banned: it is for good."""
    if device.state is MembershipState.REVOKED:
        return DeviceStanding.EVICTED
    if is_banned:
        return DeviceStanding.BANNED
    return DeviceStanding.MEMBER if device.state is MembershipState.ACTIVE else DeviceStanding.JOINING


def describe_standing(device: DeviceRow, *, is_banned: bool) -> JsonObject:
    """For an operator."""
    standing = stand(device, is_banned=is_banned)
    return {"standing": standing.value, "remedy": REMEDIES[standing]}
