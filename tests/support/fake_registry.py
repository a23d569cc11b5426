"""A GroupRegistry in memory: the contract's rules in Python, with real signatures.

Its errors, their order and its events are those of ``contracts/src/IVirtualGroups.sol``; the registry suite holds it to
them. Every act makes a block of its own.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from chain_gateway.subscriptions import EventFeed
from group_protocol.crypto.keys import recover_address
from group_protocol.errors import (
    ContractRefusal,
    LocalProtocolError,
    Reason,
    RegistryUnavailable,
    VerificationError,
)
from group_protocol.identifiers import Address, GroupId, ObjectId, Signature, derive_object_id
from group_protocol.limits import ASSOCIATION_BATCH_MAX, RECORD_SEQ_LIMIT
from group_protocol.membership import (
    Anchored,
    Associated,
    AssociationRefused,
    AssociationUndone,
    ChainEvent,
    ChainPosition,
    ExchangeRecorded,
    GroupCreated,
    GroupView,
    MasterRotated,
    Membership,
    ObjectState,
    ObjectView,
    Revoked,
    Rotated,
    first_anchors,
    fold,
)
from group_protocol.ports import (
    AnchorRequest,
    AssociationRequest,
    CreateGroupRequest,
    ExchangeProof,
    GroupRegistry,
    MasterRotationRequest,
    Receipt,
    RegistryIdentity,
    RevocationRequest,
    RotationRequest,
)
from group_protocol.tokens import token_digest
from group_protocol.typed_data import TypedDataDomain, derive_group_id

FAKE_IDENTITY = RegistryIdentity(chain_id=424_242, contract=Address(bytes(19) + b"\xfa"))
ZERO_ADDRESS = Address(bytes(20))
FAKE_GAS = 50_000

EventBuilder = Callable[[ChainPosition], ChainEvent]


@dataclass(slots=True)
class _Object:
    gid: GroupId
    account: Address
    state: ObjectState
    last_seq: int = 0


@dataclass(slots=True)
class _Group:
    master: Address
    master_oid: ObjectId
    epoch: int = 1


@dataclass
class FakeRegistry(GroupRegistry):
    """The contract, its chain and its gateway in one object.

    Attributes:
        now_unix_s: Dates the blocks.
        log: Every event that stands in a block.
        is_lying: While True, what was invented is told again to who reads anew.
        is_reachable: While False, everything that would ask a node raises RegistryUnavailable.
    """

    now_unix_s: Callable[[], float]
    identity: RegistryIdentity = FAKE_IDENTITY
    is_reachable: bool = True
    is_lying: bool = True
    log: list[ChainEvent] = field(default_factory=list)
    _objects: dict[ObjectId, _Object] = field(default_factory=dict)
    _groups: dict[GroupId, _Group] = field(default_factory=dict)
    _rotated_to: dict[ObjectId, ObjectId] = field(default_factory=dict)
    _done: dict[object, Receipt] = field(default_factory=dict)
    _invented: list[ChainEvent] = field(default_factory=list)
    _anchors: list[Anchored] = field(default_factory=list)
    _membership: Membership = field(default_factory=Membership)
    _feed: EventFeed = field(default_factory=EventFeed)
    _block_number: int = 1
    _block_time_unix_s: int = 0

    def __post_init__(self) -> None:
        self._domain = TypedDataDomain(self.identity)

    @property
    def block_number(self) -> int:
        """Height of the newest block."""
        return self._block_number

    def close(self) -> None:
        """End the subscriptions."""
        self._feed.close()

    async def fetch_identity(self) -> RegistryIdentity:
        self._require_reachable()
        return self.identity

    async def create_group(self, request: CreateGroupRequest) -> Receipt:
        if (done := self._done_before(request, lambda: True)) is not None:
            return done
        self._begin(request.deadline_unix_s)
        master, oid = request.master, derive_object_id(request.master)
        _refuse_if(master == ZERO_ADDRESS, Reason.ZERO_ADDRESS)
        digest = self._domain.create_group_digest(request.salt, master, request.deadline_unix_s)
        _require_signed(master, digest, request.signature)
        self._require_newcomer(oid, master)
        gid = derive_group_id(self.identity, master, request.salt)
        _refuse_if(gid in self._groups, Reason.GROUP_ID_IN_USE)
        self._groups[gid] = _Group(master, oid)
        self._objects[oid] = _Object(gid, master, ObjectState.MASTER)
        return self._keep(request, self._mine(lambda at: GroupCreated(gid, master, oid, at)))

    async def associate(self, request: AssociationRequest) -> Receipt:
        if (done := self._done_before(request, lambda: self._is_slave_still(request))) is not None:
            return done
        self._begin(None)
        account = self._associate(request)
        receipt = self._mine(lambda at: Associated(request.gid, derive_object_id(account), account, at))
        return self._keep(request, receipt)

    async def associate_batch(self, requests: Sequence[AssociationRequest]) -> list[Receipt]:
        if not 0 < len(requests) <= ASSOCIATION_BATCH_MAX:
            raise LocalProtocolError(f"a batch has 1 to {ASSOCIATION_BATCH_MAX} associations")
        self._begin(None)
        receipts = self._mine_all([self._associate_in_batch(index, request) for index, request in enumerate(requests)])
        return [
            self._keep(request, receipt)
            if isinstance(receipt.event, Associated)
            else self._done_before(request, lambda request=request: self._is_slave_still(request)) or receipt  # type: ignore[misc]
            for request, receipt in zip(requests, receipts, strict=True)
        ]

    async def verify_exchange(self, proof: ExchangeProof) -> None:
        self._require_reachable()
        self._verify_exchange(proof)

    async def record_exchange(self, proof: ExchangeProof) -> Receipt:
        if (done := self._done_before(proof, lambda: True)) is not None:
            return done
        self._begin(None)
        self._verify_exchange(proof)
        _refuse_if(proof.seq >= RECORD_SEQ_LIMIT, Reason.BAD_RANGE)
        sender = self._objects[proof.sender]
        _refuse_if(proof.seq <= sender.last_seq, Reason.SEQ_NOT_RISING)
        sender.last_seq = proof.seq
        content = (proof.gid, proof.sender, proof.receiver, proof.payload_hash, proof.seq, proof.epoch)
        return self._keep(proof, self._mine(lambda at: ExchangeRecorded(*content, at)))

    async def anchor(self, request: AnchorRequest) -> Receipt:
        if (done := self._done_before(request, lambda: True)) is not None:
            return done
        self._begin(None)
        first, last = request.from_record, request.to_record
        _refuse_if(first > last, Reason.BAD_RANGE)
        group = self._require_group(request.gid)
        digest = self._domain.anchor_digest(request.gid, request.root, first, last)
        _require_signed(group.master, digest, request.signature)
        return self._keep(
            request, self._mine(lambda at: Anchored(request.gid, request.root, first, last, group.epoch, at))
        )

    async def revoke(self, request: RevocationRequest) -> Receipt:
        if (done := self._done_before(request, lambda: self._is_revoked(request.oid))) is not None:
            return done
        self._begin(request.deadline_unix_s)
        group = self._require_group(request.gid)
        revoked = self._require_slave(request.gid, request.oid)
        digest = self._domain.revocation_digest(request.gid, request.oid, request.deadline_unix_s)
        _require_signed(group.master, digest, request.signature)
        revoked.state = ObjectState.REVOKED
        group.epoch += 1
        return self._keep(request, self._mine(lambda at: Revoked(request.gid, request.oid, group.epoch, at)))

    async def rotate(self, request: RotationRequest) -> Receipt:
        if (done := self._done_before(request, lambda: self._has_key(request.oid, request.new_address))) is not None:
            return done
        self._begin(request.deadline_unix_s)
        gid, oid, new_address = request.gid, request.oid, request.new_address
        _refuse_if(new_address == ZERO_ADDRESS, Reason.ZERO_ADDRESS)
        group = self._require_group(gid)
        rotated = self._require_slave(gid, oid)
        _refuse_if(self._is_address_used(new_address), Reason.ADDRESS_IN_USE)
        digest = self._domain.rotation_digest(gid, oid, new_address, request.deadline_unix_s)
        _require_signed(rotated.account, digest, request.by_old)
        _require_signed(new_address, digest, request.by_new)
        self._move(oid, new_address)
        group.epoch += 1
        return self._keep(request, self._mine(lambda at: Rotated(gid, oid, new_address, group.epoch, at)))

    def invent_rotation(self, oid: ObjectId, new_address: Address) -> None:
        """Lie, as a gateway's node might: tell of a change of key that nobody signed."""
        gid, epoch = self._epoch_after(oid)
        self._invented.append(self._mine(lambda at: Rotated(gid, oid, new_address, epoch, at)).event)

    def forget_rotations(self, oid: ObjectId) -> None:
        """The chain was put back from a backup: it knows the object by its first key."""
        self.log = [event for event in self.log if not (isinstance(event, Rotated) and event.oid == oid)]
        self._membership = fold(self.log)
        view = self._membership.objects[oid]
        self._objects[oid].account = view.account
        self._groups[view.gid].epoch = self._membership.groups[view.gid].epoch

    def invent_revocation(self, oid: ObjectId) -> None:
        """Lie: tell of a revocation that nobody signed. The contract itself knows nothing of it."""
        gid, epoch = self._epoch_after(oid)
        self._invented.append(self._mine(lambda at: Revoked(gid, oid, epoch, at)).event)

    def _epoch_after(self, oid: ObjectId) -> tuple[GroupId, int]:
        gid = self._objects[oid].gid
        return gid, self._groups[gid].epoch + 1

    def read_anew(self) -> None:
        if not self.is_lying:
            self.log = [event for event in self.log if event not in self._invented]
            self._membership = fold(self.log)

    async def rotate_master(self, request: MasterRotationRequest) -> Receipt:
        def is_in_force() -> bool:
            return self._groups[request.gid].master == request.new_master

        if (done := self._done_before(request, is_in_force)) is not None:
            return done
        self._begin(request.deadline_unix_s)
        gid, new_master = request.gid, request.new_master
        _refuse_if(new_master == ZERO_ADDRESS, Reason.ZERO_ADDRESS)
        group = self._require_group(gid)
        _refuse_if(self._is_address_used(new_master), Reason.ADDRESS_IN_USE)
        digest = self._domain.master_rotation_digest(gid, new_master, request.deadline_unix_s)
        _require_signed(group.master, digest, request.by_old)
        _require_signed(new_master, digest, request.by_new)
        self._move(group.master_oid, new_master)
        group.master = new_master
        group.epoch += 1
        return self._keep(request, self._mine(lambda at: MasterRotated(gid, new_master, group.epoch, at)))

    async def fetch_group(self, gid: GroupId) -> GroupView | None:
        self._require_reachable()
        group = self._groups.get(gid)
        return None if group is None else GroupView(gid, group.master, group.master_oid, group.epoch)

    async def fetch_object(self, gid: GroupId, oid: ObjectId) -> ObjectView | None:
        self._require_reachable()
        found = self._objects.get(oid)
        return None if found is None or found.gid != gid else ObjectView(oid, gid, found.account, found.state)

    async def fetch_block_time(self) -> int:
        self._require_reachable()
        return self._block_time_unix_s or int(self.now_unix_s())

    async def fetch_anchors(self, gid: GroupId) -> list[Anchored]:
        return first_anchors(event for event in self._anchors if event.gid == gid)

    def membership(self) -> Membership:
        return self._membership

    def events(self) -> AsyncIterator[ChainEvent]:
        return self._feed.subscribe()

    def _done_before(self, request: object, still_holds: Callable[[], bool]) -> Receipt | None:
        """The receipt of the first time that this very request was made, if what it did is in force."""
        self._require_reachable()
        done = self._done.get(request)
        return done if done is not None and still_holds() else None

    def _keep(self, request: object, receipt: Receipt) -> Receipt:
        self._done[request] = receipt
        return receipt

    def _is_slave_still(self, request: AssociationRequest) -> bool:
        digest = self._domain.association_digest(request.gid, request.token, request.deadline_unix_s)
        account = recover_address(digest, request.request)
        found = self._objects.get(derive_object_id(account))
        return found is not None and (found.account, found.state) == (account, ObjectState.SLAVE)

    def _is_revoked(self, oid: ObjectId) -> bool:
        return oid in self._objects and self._objects[oid].state is ObjectState.REVOKED

    def _has_key(self, oid: ObjectId, address: Address) -> bool:
        found = self._objects[oid]
        return found.account == address and found.state is ObjectState.SLAVE

    def _begin(self, deadline_unix_s: int | None) -> None:
        """A new block, and the first check of most functions."""
        self._require_reachable()
        self._block_time_unix_s = max(self._block_time_unix_s, int(self.now_unix_s()))
        _refuse_if(deadline_unix_s is not None and self._block_time_unix_s > deadline_unix_s, Reason.DEADLINE_PASSED)

    def _require_reachable(self) -> None:
        if not self.is_reachable:
            raise RegistryUnavailable("the chain's node cannot be reached: switched off by the test")

    def _associate(self, request: AssociationRequest) -> Address:
        """Algorithm 1, the slave's branch, in its order."""
        _refuse_if(self._block_time_unix_s > request.deadline_unix_s, Reason.DEADLINE_PASSED)
        digest = self._domain.association_digest(request.gid, request.token, request.deadline_unix_s)
        try:
            account = recover_address(digest, request.request)
        except VerificationError as exc:
            raise ContractRefusal(Reason.BAD_SIGNATURE) from exc
        oid = derive_object_id(account)
        self._require_newcomer(oid, account)
        group = self._require_group(request.gid)
        _refuse_if(
            not _is_signed(group.master, token_digest(request.gid, oid, account), request.token), Reason.TOKEN_REFUSED
        )
        self._objects[oid] = _Object(request.gid, account, ObjectState.SLAVE)
        return account

    def _associate_in_batch(self, index: int, request: AssociationRequest) -> EventBuilder:
        try:
            account = self._associate(request)
        except ContractRefusal as exc:
            reason = exc.reason
            return lambda at: AssociationRefused(request.gid, index, reason, at)
        return lambda at: Associated(request.gid, derive_object_id(account), account, at)

    def _verify_exchange(self, proof: ExchangeProof) -> None:
        """Algorithm 3 in its order."""
        sender, receiver = self._require_active(proof.sender), self._require_active(proof.receiver)
        group = self._require_group(proof.gid)
        _refuse_if(proof.gid != sender.gid or proof.gid != receiver.gid, Reason.NOT_IN_GROUP)
        _refuse_if(proof.epoch != group.epoch, Reason.STALE_EPOCH)
        digest = self._domain.exchange_digest(
            proof.gid, proof.sender, proof.receiver, proof.payload_hash, proof.seq, proof.epoch
        )
        _require_signed(sender.account, digest, proof.signature)

    def _require_newcomer(self, oid: ObjectId, account: Address) -> None:
        found = self._objects.get(oid)
        _refuse_if(found is not None and found.state is ObjectState.REVOKED, Reason.OBJECT_REVOKED)
        _refuse_if(found is not None, Reason.OBJECT_ID_IN_USE)
        _refuse_if(self._is_address_used(account), Reason.ADDRESS_IN_USE)

    def _is_address_used(self, account: Address) -> bool:
        tail = derive_object_id(account)
        return tail in self._objects or tail in self._rotated_to

    def _require_group(self, gid: GroupId) -> _Group:
        _refuse_if(gid not in self._groups, Reason.UNKNOWN_GROUP)
        return self._groups[gid]

    def _require_active(self, oid: ObjectId) -> _Object:
        _refuse_if(oid not in self._objects, Reason.UNKNOWN_OBJECT)
        _refuse_if(self._objects[oid].state is ObjectState.REVOKED, Reason.OBJECT_REVOKED)
        return self._objects[oid]

    def _require_slave(self, gid: GroupId, oid: ObjectId) -> _Object:
        _refuse_if(oid not in self._objects, Reason.UNKNOWN_OBJECT)
        found = self._objects[oid]
        _refuse_if(found.gid != gid, Reason.NOT_IN_GROUP)
        _refuse_if(found.state is ObjectState.REVOKED, Reason.OBJECT_REVOKED)
        _refuse_if(found.state is ObjectState.MASTER, Reason.NOT_A_SLAVE)
        return found

    def _move(self, oid: ObjectId, new_address: Address) -> None:
        self._objects[oid].account = new_address
        self._rotated_to[derive_object_id(new_address)] = oid

    def _mine(self, event: EventBuilder) -> Receipt:
        (receipt,) = self._mine_all([event])
        return receipt

    def _mine_all(self, builders: Sequence[EventBuilder]) -> list[Receipt]:
        self._block_number += 1
        block_hash = hash_of_block(self._block_number)
        transaction_hash = hashlib.sha256(b"transaction %d" % self._block_number).digest()
        events = [
            build(ChainPosition(self._block_number, log_index, block_hash, transaction_hash))
            for log_index, build in enumerate(builders)
        ]
        self._anchors += [event for event in events if isinstance(event, Anchored)]
        self._membership = fold(events, self._membership)
        self.log += events
        self._feed.emit(events)
        return [Receipt(event, FAKE_GAS * len(events)) for event in events]

    def undo_association(self, oid: ObjectId) -> None:
        """A fork: the newest block, in which the object was associated, is replaced by one without it."""
        undone = self._objects.pop(oid)
        self._done = {
            request: receipt
            for request, receipt in self._done.items()
            if not (isinstance(receipt.event, Associated) and receipt.event.oid == oid)
        }
        objects = {other: view for other, view in self._membership.objects.items() if other != oid}
        self._membership = Membership(self._membership.groups, objects)
        at = ChainPosition(self._block_number, 0, bytes(32), bytes(32))
        self._feed.emit([AssociationUndone(undone.gid, oid, undone.account, at)])


def hash_of_block(number: int) -> bytes:
    """32 bytes."""
    return hashlib.sha256(b"block %d" % number).digest()


def _refuse_if(condition: bool, reason: Reason) -> None:
    if condition:
        raise ContractRefusal(reason)


def _is_signed(signer: Address, digest: bytes, signature: bytes) -> bool:
    try:
        return recover_address(digest, signature) == signer
    except VerificationError:
        return False


def _require_signed(signer: Address, digest: bytes, signature: Signature) -> None:
    _refuse_if(not _is_signed(signer, digest, signature), Reason.BAD_SIGNATURE)
