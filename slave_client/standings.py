"""How this device stands with its master, as the master last said under a session's keys, and what helps."""

from enum import StrEnum
from typing import Final

from group_protocol.error_codes import ErrorCode
from group_protocol.extensions import Standing
from slave_client.device_state import DeviceState, JoinStep


class DeviceStanding(StrEnum):
    """One of these; the last five are five different things to do."""

    JOINING = "joining"
    MEMBER = "member"
    EXPIRED = "expired"
    EVICTED = "evicted"
    BANNED = "banned"
    UNSUPPORTED = "unsupported"
    DISPUTED = "disputed"


STANDING_REMEDIES: Final = {
    DeviceStanding.JOINING: "Run vgroup slave run: it goes on by itself.",
    DeviceStanding.MEMBER: None,
    DeviceStanding.EXPIRED: "The invitation came too late. On the master: vgroup device invite NAME. "
    "Here: vgroup slave join STRING, with the new string.",
    DeviceStanding.EVICTED: "This identity is over for good. To use the device again, as a new one, on the master: "
    "vgroup device invite NAME. Here: vgroup slave join STRING.",
    DeviceStanding.BANNED: "The operator has shut this device out. It goes on by itself when the ban is lifted, on the "
    "master: vgroup device unban NAME. Its readings wait here.",
    DeviceStanding.DISPUTED: "The register says that this device is revoked, or has another key, and its master's "
    "operator did not order that. It goes on by itself if the register takes it back; on the master: vgroup device "
    "list. Its key and its readings wait here.",
    DeviceStanding.UNSUPPORTED: "The two versions do not fit: upgrade the master, then this device.",
}

STANDING_CODES: Final = {
    DeviceStanding.JOINING: ErrorCode.NOT_A_MEMBER,
    DeviceStanding.EXPIRED: ErrorCode.INVITATION_EXPIRED,
    DeviceStanding.EVICTED: ErrorCode.DEVICE_REVOKED,
    DeviceStanding.BANNED: ErrorCode.DEVICE_BANNED,
    DeviceStanding.UNSUPPORTED: ErrorCode.VERSIONS_DIFFER,
    DeviceStanding.DISPUTED: ErrorCode.MEMBERSHIP_DISPUTED,
}


def stand(device: DeviceState) -> DeviceStanding:
    """What is on the disk; evicted outweighs the rest."""
    if device.step is JoinStep.REVOKED:
        return DeviceStanding.EVICTED
    if device.standing is not Standing.GOOD:
        return DeviceStanding(device.standing.name.lower())
    return DeviceStanding.MEMBER if device.step is JoinStep.ASSOCIATED else DeviceStanding.JOINING
