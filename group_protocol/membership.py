"""Membership of groups as a fold over the contract's events (``docs/protocol.md`` §8, paper Algorithm 1).

``apply`` is pure: the same events in the same order give the same view on every machine. The gateway folds what its
node
reports; anyone with a node of their own can fold again and compare.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum

from group_protocol.errors import Reason, RegistryInconsistent
from group_protocol.identifiers import Address, GroupId, ObjectId, derive_object_id


class ObjectState(IntEnum):
    """State of an object in the contract (``IVirtualGroups.ObjectState``)."""

    NONE = 0
    SLAVE = 1
    MASTER = 2
    REVOKED = 3


@dataclass(frozen=True, slots=True, order=True)
class ChainPosition:
    """Where in the chain an event stands.

    Attributes:
        block_number: Height of the block.
        log_index: Index of the log in its block.
        block_hash: 32 bytes; changes when a reorganisation replaces the block.
        transaction_hash: 32 bytes.
    """

    block_number: int
    log_index: int
    block_hash: bytes
    transaction_hash: bytes


@dataclass(frozen=True, slots=True)
class GroupCreated:
    """A master formed a group."""

    gid: GroupId
    master: Address
    oid: ObjectId
    at: ChainPosition


@dataclass(frozen=True, slots=True)
class Associated:
    """A slave joined (Algorithm 1, slave branch)."""

    gid: GroupId
    oid: ObjectId
    account: Address
    at: ChainPosition


@dataclass(frozen=True, slots=True)
class AssociationUndone:
    """A fork took an association away that had counted: the device has to associate again.

    No log tells of it: the registry does, when it has read the branch that replaced the old one.

    Attributes:
        at: The newest block of the new branch, with log index 0 and a transaction hash of zeros.
    """

    gid: GroupId
    oid: ObjectId
    account: Address
    at: ChainPosition


@dataclass(frozen=True, slots=True)
class AssociationRefused:
    """One item of a batch was refused; the others were not touched by that.

    Attributes:
        index: The item's place in the batch, from 0.
        reason: Why ``associate`` would have refused it; the gateway reads it from the contract error's selector.
    """

    gid: GroupId
    index: int
    reason: Reason
    at: ChainPosition


@dataclass(frozen=True, slots=True)
class Revoked:
    """A slave was revoked for good; its id never comes back."""

    gid: GroupId
    oid: ObjectId
    epoch: int
    at: ChainPosition


@dataclass(frozen=True, slots=True)
class Rotated:
    """A slave changed its key; its id stays."""

    gid: GroupId
    oid: ObjectId
    new_address: Address
    epoch: int
    at: ChainPosition


@dataclass(frozen=True, slots=True)
class MasterRotated:
    """A master changed its key; its id and all memberships stay."""

    gid: GroupId
    new_master: Address
    epoch: int
    at: ChainPosition


@dataclass(frozen=True, slots=True)
class ExchangeRecorded:
    """A secure exchange between two members was recorded on the chain (Algorithm 3)."""

    gid: GroupId
    sender: ObjectId
    receiver: ObjectId
    payload_hash: bytes
    seq: int
    epoch: int
    at: ChainPosition


@dataclass(frozen=True, slots=True)
class Anchored:
    """A master committed to a batch of stored records by their Merkle root."""

    gid: GroupId
    root: bytes
    from_record: int
    to_record: int
    epoch: int
    at: ChainPosition


def first_anchors(events: Iterable[Anchored]) -> list[Anchored]:
    """Anchors in chain order without the repetitions: anyone may relay one again, which says nothing new."""
    first: dict[tuple[GroupId, bytes, int, int], Anchored] = {}
    for event in events:
        first.setdefault((event.gid, event.root, event.from_record, event.to_record), event)
    return list(first.values())


ChainEvent = (
    GroupCreated
    | Associated
    | AssociationUndone
    | AssociationRefused
    | Revoked
    | Rotated
    | MasterRotated
    | ExchangeRecorded
    | Anchored
)


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as the contract holds it.

    Attributes:
        epoch: Begins at 1 and rises with each revocation and rotation.
        master_oid: The master's own id; it stays when the master's key is rotated.
    """

    gid: GroupId
    master: Address
    master_oid: ObjectId
    epoch: int


@dataclass(frozen=True, slots=True)
class ObjectView:
    """An object (slave or master) as the contract holds it. ``account`` is its current address."""

    oid: ObjectId
    gid: GroupId
    account: Address
    state: ObjectState


@dataclass(frozen=True, slots=True)
class Membership:
    """All groups and objects after some prefix of the chain's events.

    The dictionaries are never changed in place; ``apply`` answers a new view. Folding many events at once with
    :func:`fold` copies them once.
    """

    groups: dict[GroupId, GroupView] = field(default_factory=dict)
    objects: dict[ObjectId, ObjectView] = field(default_factory=dict)

    def is_active_member(self, gid: GroupId, oid: ObjectId) -> bool:
        """Whether the object is an active slave or the master of that group."""
        view = self.objects.get(oid)
        return view is not None and view.gid == gid and view.state in (ObjectState.SLAVE, ObjectState.MASTER)

    def members(self, gid: GroupId) -> list[ObjectView]:
        """Every object that ever belonged to the group, the revoked ones too, ordered by oid."""
        return sorted((view for view in self.objects.values() if view.gid == gid), key=lambda view: view.oid)


def fold(events: Iterable[ChainEvent], start: Membership | None = None) -> Membership:
    """Apply events in chain order to a view.

    Raises:
        RegistryInconsistent: An event contradicts what came before it, which the contract's rules make impossible: the
            reporter is wrong or lying.
    """
    start = start or Membership()
    membership = Membership(dict(start.groups), dict(start.objects))
    for event in events:
        _apply_in_place(membership, event)
    return membership


def _apply_in_place(membership: Membership, event: ChainEvent) -> None:
    match event:
        case GroupCreated():
            if event.gid in membership.groups or event.oid in membership.objects:
                raise _contradiction(event)
            membership.groups[event.gid] = GroupView(event.gid, event.master, event.oid, epoch=1)
            membership.objects[event.oid] = ObjectView(event.oid, event.gid, event.master, ObjectState.MASTER)
        case Associated():
            if event.gid not in membership.groups or event.oid in membership.objects:
                raise _contradiction(event)
            if event.oid != derive_object_id(event.account):
                raise _contradiction(event)
            membership.objects[event.oid] = ObjectView(event.oid, event.gid, event.account, ObjectState.SLAVE)
        case Revoked():
            view = _active_slave(membership, event)
            membership.objects[event.oid] = replace(view, state=ObjectState.REVOKED)
            _raise_epoch(membership, event)
        case Rotated():
            view = _active_slave(membership, event)
            membership.objects[event.oid] = replace(view, account=event.new_address)
            _raise_epoch(membership, event)
        case MasterRotated():
            _raise_epoch(membership, event)
            group = membership.groups[event.gid]
            membership.groups[event.gid] = replace(group, master=event.new_master)
            membership.objects[group.master_oid] = replace(
                membership.objects[group.master_oid], account=event.new_master
            )
        case AssociationUndone() | AssociationRefused() | ExchangeRecorded() | Anchored():
            pass


def _active_slave(membership: Membership, event: Revoked | Rotated) -> ObjectView:
    view = membership.objects.get(event.oid)
    if view is None or view.gid != event.gid or view.state is not ObjectState.SLAVE:
        raise RegistryInconsistent(f"{type(event).__name__} names an object that is no active slave of its group")
    return view


def _raise_epoch(membership: Membership, event: Revoked | Rotated | MasterRotated) -> None:
    group = membership.groups.get(event.gid)
    if group is None or event.epoch != group.epoch + 1:
        raise RegistryInconsistent(f"{type(event).__name__} carries epoch {event.epoch} out of order")
    membership.groups[event.gid] = replace(group, epoch=event.epoch)


def _contradiction(event: ChainEvent) -> RegistryInconsistent:
    return RegistryInconsistent(f"{type(event).__name__} contradicts the events before it")
