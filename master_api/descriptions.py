"""Rows and views as plain JSON values, for operators. Byte values are hex; addresses and transactions begin with 0x."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from group_protocol.identifiers import ObjectId, display_object_id
from group_protocol.membership import GroupView, ObjectState, ObjectView
from master_api.audit import AuditHead
from master_api.current_group import FormedGroup
from master_api.store.anchors import AnchorRow
from master_api.store.devices import DeviceRow
from master_api.store.invitations import InvitationRow
from master_api.store.peer_queue import PeerCounts

JsonObject = dict[str, object]


def describe_group(group: FormedGroup, view: GroupView, members: Sequence[ObjectView]) -> JsonObject:
    """The group as store and registry have it."""
    states = [member.state for member in members]
    return {
        "gid": group.gid.hex(),
        "name": group.row.name,
        "epoch": view.epoch,
        "master": "0x" + view.master.hex(),
        "master_oid": group.master_oid.hex(),
        "chain_id": group.row.chain_id,
        "contract": "0x" + group.row.contract.hex(),
        "transaction": "0x" + group.row.transaction_hash.hex(),
        "block": group.row.block_number,
        "slaves": states.count(ObjectState.SLAVE),
        "revoked": states.count(ObjectState.REVOKED),
    }


def describe_device(device: DeviceRow, records: int, *, has_session: bool) -> JsonObject:
    """An enrolled device."""
    transaction = device.association_transaction
    return {
        "oid": device.oid.hex(),
        "short": display_object_id(device.oid),
        "name": device.name,
        "address": "0x" + device.address.hex(),
        "state": device.state.name,
        "enrolled_at": iso_time(device.enrolled_at_unix_s),
        "last_seen": None if device.last_seen_unix_s is None else iso_time(device.last_seen_unix_s),
        "transaction": None if transaction is None else "0x" + transaction.hex(),
        "block": device.association_block,
        "records": records,
        "has_session": has_session,
    }


def describe_invitation(invitation: InvitationRow, now_unix_s: float) -> JsonObject:
    """An invitation, without its code."""
    return {
        "name": invitation.device_name,
        "state": str(invitation.state(now_unix_s)),
        "expires_at": iso_time(invitation.expires_at_unix_s),
        "wrong_proofs": invitation.wrong_proofs,
    }


def describe_anchor(anchor: AnchorRow) -> JsonObject:
    """An anchor; without a transaction while it is on its way."""
    transaction = anchor.transaction_hash
    return {
        "from_record": anchor.from_record,
        "to_record": anchor.to_record,
        "root": anchor.root.hex(),
        "made_at": iso_time(anchor.created_at_unix_s),
        "transaction": None if transaction is None else "0x" + transaction.hex(),
        "block": anchor.block_number,
    }


def describe_messages(count: PeerCounts, names: Mapping[ObjectId, str]) -> JsonObject:
    """What became of one sender's messages to one receiver."""
    return {
        "receiver": names.get(count.receiver, count.receiver.hex()),
        "sender": names.get(count.sender, count.sender.hex()),
        "waiting": count.waiting,
        "delivered": count.delivered,
        "refused": count.refused,
        "dropped": count.dropped,
        "receiver_oid": count.receiver.hex(),
        "sender_oid": count.sender.hex(),
    }


def describe_audit(head: AuditHead) -> JsonObject:
    """A verified log."""
    return {"entries": head.number, "head": head.to_text()}


def iso_time(unix_s: float) -> str:
    """ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
