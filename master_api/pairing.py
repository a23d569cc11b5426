"""Pairing: invitations, and what becomes of the device that answers one (``docs/protocol.md`` §4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from group_protocol.errors import LateInvitationError, PairingError
from group_protocol.handshake import Identity, MasterHandshake
from group_protocol.identifiers import ObjectId, derive_object_id
from group_protocol.limits import PAIRING_CODE_BYTES
from group_protocol.membership import Membership, ObjectState
from group_protocol.pairing import PairingString, derive_code_id
from group_protocol.tickets import MembershipState
from master_api.audit import AuditKind, Detail
from master_api.context import MasterContext
from master_api.current_group import FormedGroup
from master_api.pairing_codes import open_code, seal_code
from master_api.store.devices import DeviceRow, fetch_device, insert_device
from master_api.store.invitations import (
    InvitationRow,
    InvitationState,
    count_wrong_proof,
    fetch_invitation,
    insert_invitation,
    mark_used,
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the operator carries to the device."""

    pairing: PairingString
    device_name: str
    expires_at_unix_s: float


async def invite(context: MasterContext, device_name: str, host: str, port: int, lifetime_s: float) -> Invitation:
    """Make a pairing code for one device. Raises StoreError as :func:`invite_all` does."""
    (invitation,) = await invite_all(context, [device_name], host, port, lifetime_s)
    return invitation


async def invite_all(
    context: MasterContext, device_names: Sequence[str], host: str, port: int, lifetime_s: float
) -> list[Invitation]:
    """Make a pairing code for each of some devices, all of them in one commit, in the order of their names.

    Raises:
        StoreError: They could not be kept, so none was made.
    """
    now_unix_s = context.steady.now_unix_s()
    made: list[tuple[InvitationRow, PairingString]] = []
    for device_name in device_names:
        code = context.random.token_bytes(PAIRING_CODE_BYTES)
        code_id = derive_code_id(code)
        sealed_code = seal_code(context.key, code_id, code)
        row = InvitationRow(code_id, sealed_code, device_name, now_unix_s, now_unix_s + lifetime_s)
        made.append((row, PairingString(context.key.address, code, host, port)))

    def keep(connection: Connection) -> None:
        for row, _ in made:
            insert_invitation(connection, row)
            detail: Detail = {
                "code_id": row.code_id.hex(),
                "device_name": row.device_name,
                "lifetime_s": lifetime_s,
            }
            context.audit.append(connection, AuditKind.INVITATION_MADE, detail)

    await context.store.write(keep)
    return [Invitation(pairing, row.device_name, row.expires_at_unix_s) for row, pairing in made]


def require_invited(connection: Connection, identity: Identity) -> None:
    """See whether a device that is not enrolled names a code that was given; :func:`pair_device` judges the proof.

    A reader's question, so that strangers who flood the master never stand in the writer's queue before a device.

    Raises:
        PairingError: It names none, or an unknown one.
    """
    if identity.pairing is None:
        raise PairingError("a device that is not enrolled brought no pairing proof")
    if fetch_invitation(connection, identity.pairing.code_id) is None:
        raise PairingError("the pairing code is unknown")


def pair_device(  # noqa: PLR0911 - one for each way to be turned away
    connection: Connection, context: MasterContext, group: FormedGroup, handshake: MasterHandshake, identity: Identity
) -> DeviceRow | PairingError:
    """Check the pairing proof of a device that is not enrolled, and enrol it.

    Runs in one transaction of the writer, so two devices with one code cannot both get in.

    Returns:
        The device, or why it was not let in: answered and not raised, because a counted wrong proof has to stay
        counted.
    """
    if identity.pairing is None:
        return PairingError("a device that is not enrolled brought no pairing proof")
    now_unix_s = context.steady.now_unix_s()
    invitation = fetch_invitation(connection, identity.pairing.code_id)
    if invitation is None:
        return PairingError("the pairing code is unknown")
    state = invitation.state(now_unix_s)
    if state is InvitationState.EXPIRED:
        return _judge_late_proof(context, invitation, handshake)
    if state is not InvitationState.OPEN:
        return PairingError(f"the pairing code is {state}")
    try:
        handshake.verify_pairing(open_code(context.key, invitation.code_id, invitation.sealed_code))
    except PairingError as exc:
        _count_wrong_proof(connection, context, invitation, identity, now_unix_s)
        return exc
    oid = _object_id(identity, group, context.registry.membership())
    if fetch_device(connection, oid) is not None:
        return PairingError("the device has another key now")
    device = DeviceRow(
        oid, group.gid, identity.address, invitation.device_name, MembershipState.NOT_ASSOCIATED, now_unix_s
    )
    insert_device(connection, device)
    mark_used(connection, invitation.code_id, oid)
    enrolled = {"oid": oid.hex(), "address": identity.address.hex(), "name": device.name}
    context.audit.append(connection, AuditKind.INVITATION_USED, {"code_id": invitation.code_id.hex(), "oid": oid.hex()})
    context.audit.append(connection, AuditKind.DEVICE_ENROLLED, enrolled)
    return device


def _judge_late_proof(context: MasterContext, invitation: InvitationRow, handshake: MasterHandshake) -> PairingError:
    """Only who has the code may know that it came too late. A wrong proof harms an expired code no more."""
    try:
        handshake.verify_pairing(open_code(context.key, invitation.code_id, invitation.sealed_code))
    except PairingError as exc:
        return exc
    return LateInvitationError("the pairing code is expired")


def _count_wrong_proof(
    connection: Connection, context: MasterContext, invitation: InvitationRow, identity: Identity, now_unix_s: float
) -> None:
    code_id = invitation.code_id
    wrong_proofs = count_wrong_proof(connection, code_id)
    detail: Detail = {"code_id": code_id.hex(), "address": identity.address.hex(), "wrong_proofs": wrong_proofs}
    context.audit.append(connection, AuditKind.INVITATION_WRONG_PROOF, detail)
    counted = fetch_invitation(connection, code_id)
    if counted is not None and counted.state(now_unix_s) is InvitationState.LOCKED:
        context.audit.append(connection, AuditKind.INVITATION_LOCKED, {"code_id": code_id.hex()})


def _object_id(identity: Identity, group: FormedGroup, membership: Membership) -> ObjectId:
    """The device's oid: of its address, unless it is a member already that rotated its key before this store began."""
    for view in membership.members(group.gid):
        if view.account == identity.address and view.state is ObjectState.SLAVE:
            return view.oid
    return derive_object_id(identity.address)
