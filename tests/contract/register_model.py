"""The register's rules in plain Python, for the state machine: no bytes, no hashes, no signatures.

Written from docs/protocol.md and the documentation of IVirtualGroups, not from the contract. Who signed is the address
of the signer, or `NOBODY` where nothing recovers; what was signed is taken to be what the call says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

NOBODY = bytes(20)
NO_OBJECT = bytes(16)
MAX_SEQ = 2**56 - 1

Event = tuple[str, dict[str, Any]]


class State(IntEnum):
    """What an object is."""

    NONE = 0
    SLAVE = 1
    MASTER = 2
    REVOKED = 3


class Refused(Exception):
    """A rule says no.

    Args:
        name: The contract's error without its prefix.
        arguments: The error's arguments by their names.
    """

    def __init__(self, name: str, **arguments: Any) -> None:
        super().__init__(name, arguments)
        self.name = name
        self.arguments = arguments


@dataclass(slots=True)
class Object:
    """A slave, a master, or one that was revoked."""

    address: bytes
    gid: bytes
    state: State
    last_seq: int = 0


@dataclass(slots=True)
class Group:
    """A group."""

    master: bytes
    index: int
    epoch: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """A slave's request to join: who signed it, and who signed the token in it."""

    gid: bytes
    requester: bytes
    token_signer: bytes
    deadline: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A signed exchange."""

    gid: bytes
    sender: bytes
    receiver: bytes
    payload_hash: bytes
    seq: int
    epoch: int
    signer: bytes


@dataclass(slots=True)
class RegisterModel:
    """What the register should hold and answer."""

    now: int
    groups: dict[bytes, Group] = field(default_factory=dict)
    objects: dict[bytes, Object] = field(default_factory=dict)
    owner_of: dict[bytes, bytes] = field(default_factory=dict)
    """Every id that an address gives, and the object that it belongs or belonged to."""

    def create_group(self, gid: bytes, master: bytes, deadline: int, signer: bytes) -> list[Event]:
        """Algorithm 1, the master's branch."""
        self._in_time(deadline)
        self._not_zero(master)
        self._signed(signer, master)
        self._newcomer(master)
        if gid in self.groups:
            raise Refused("GroupIdInUse", gid=gid)
        index = len(self.groups) + 1
        self.groups[gid] = Group(master, index)
        self._add(master, gid, State.MASTER)
        return [("GroupCreated", {"gid": gid, "master": master, "oid": master[4:], "index": index})]

    def associate(self, request: Request) -> list[Event]:
        """Algorithm 1, the slave's branch."""
        self._in_time(request.deadline)
        if request.requester == NOBODY:
            raise Refused("BadSignature")
        self._newcomer(request.requester)
        group = self._group(request.gid)
        if request.token_signer != group.master:
            raise Refused("TokenRefused")
        self._add(request.requester, request.gid, State.SLAVE)
        oid = request.requester[4:]
        return [("Associated", {"gid": request.gid, "oid": oid, "account": request.requester})]

    def associate_batch(self, requests: Sequence[Request]) -> list[Event]:
        """Take every request that is good."""
        events = []
        for place, request in enumerate(requests):
            try:
                events += self.associate(request)
            except Refused as refusal:
                events.append(("AssociationRefused", {"index": place, "gid": request.gid, "reason": refusal.name}))
        return events

    def verify_exchange(self, said: Statement) -> None:
        """Algorithm 3."""
        sender, receiver = self._active(said.sender), self._active(said.receiver)
        group = self._group(said.gid)
        for oid, member in ((said.sender, sender), (said.receiver, receiver)):
            if member.gid != said.gid:
                raise Refused("NotInGroup", oid=oid)
        if said.epoch != group.epoch:
            raise Refused("StaleEpoch", current=group.epoch)
        self._signed(said.signer, sender.address)

    def record_exchange(self, said: Statement) -> list[Event]:
        """Algorithm 3, and the number has to rise."""
        self.verify_exchange(said)
        if said.seq > MAX_SEQ:
            raise Refused("BadRange", first=said.seq, last=MAX_SEQ)
        sender = self.objects[said.sender]
        if said.seq <= sender.last_seq:
            raise Refused("SeqNotRising", last=sender.last_seq)
        sender.last_seq = said.seq
        fields = {"payloadHash": said.payload_hash, "seq": said.seq, "epoch": said.epoch}
        return [("ExchangeRecorded", {"gid": said.gid, "from": said.sender, "to": said.receiver} | fields)]

    def verify_checkpoint(self, gid: bytes, sender: bytes, first: int, last: int, epoch: int, signer: bytes) -> None:
        """A sender's word on a run of records."""
        if first > last:
            raise Refused("BadRange", first=first, last=last)
        member, group = self._active(sender), self._group(gid)
        if member.gid != gid:
            raise Refused("NotInGroup", oid=sender)
        if epoch != group.epoch:
            raise Refused("StaleEpoch", current=group.epoch)
        self._signed(signer, member.address)

    def anchor(self, gid: bytes, root: bytes, first: int, last: int, signer: bytes) -> list[Event]:
        """A master's word on a range of records."""
        if first > last:
            raise Refused("BadRange", first=first, last=last)
        group = self._group(gid)
        self._signed(signer, group.master)
        return [
            ("Anchored", {"gid": gid, "root": root, "fromRecord": first, "toRecord": last, "epoch": group.epoch}),
        ]

    def revoke(self, gid: bytes, oid: bytes, deadline: int, signer: bytes) -> list[Event]:
        """A slave leaves for ever."""
        self._in_time(deadline)
        group = self._group(gid)
        slave = self._slave_of(gid, oid)
        self._signed(signer, group.master)
        slave.state = State.REVOKED
        group.epoch += 1
        return [("Revoked", {"gid": gid, "oid": oid, "epoch": group.epoch})]

    def rotate(self, gid: bytes, oid: bytes, new: bytes, deadline: int, signers: tuple[bytes, bytes]) -> list[Event]:
        """A slave changes its key."""
        self._in_time(deadline)
        self._not_zero(new)
        group = self._group(gid)
        slave = self._slave_of(gid, oid)
        self._free(new)
        self._signed(signers[0], slave.address)
        self._signed(signers[1], new)
        slave.address = new
        self.owner_of[new[4:]] = oid
        group.epoch += 1
        return [("Rotated", {"gid": gid, "oid": oid, "newAddress": new, "epoch": group.epoch})]

    def rotate_master(self, gid: bytes, new: bytes, deadline: int, signers: tuple[bytes, bytes]) -> list[Event]:
        """A master changes its key."""
        self._in_time(deadline)
        self._not_zero(new)
        group = self._group(gid)
        self._free(new)
        self._signed(signers[0], group.master)
        self._signed(signers[1], new)
        oid = self.owner_of[group.master[4:]]
        self.objects[oid].address = group.master = new
        self.owner_of[new[4:]] = oid
        group.epoch += 1
        return [("MasterRotated", {"gid": gid, "newMaster": new, "epoch": group.epoch})]

    def group_view(self, gid: bytes) -> tuple[bytes, int, int]:
        """What groupOf answers: master, index, epoch."""
        group = self.groups.get(gid)
        return (group.master, group.index, group.epoch) if group else (NOBODY, 0, 0)

    def object_view(self, oid: bytes) -> tuple[bytes, int, int, int]:
        """What objectOf answers: address, index of the group, state, last seq."""
        found = self.objects.get(oid)
        if found is None:
            return NOBODY, 0, 0, 0
        return found.address, self.groups[found.gid].index, int(found.state), found.last_seq

    def _add(self, address: bytes, gid: bytes, state: State) -> None:
        self.objects[address[4:]] = Object(address, gid, state)
        self.owner_of[address[4:]] = address[4:]

    def _in_time(self, deadline: int) -> None:
        if self.now > deadline:
            raise Refused("DeadlinePassed", deadline=deadline)

    def _not_zero(self, address: bytes) -> None:
        if address == NOBODY:
            raise Refused("ZeroAddress")

    def _signed(self, signer: bytes, wanted: bytes) -> None:
        if signer == NOBODY or signer != wanted:
            raise Refused("BadSignature")

    def _free(self, address: bytes) -> None:
        if address[4:] in self.owner_of:
            raise Refused("AddressInUse", account=address)

    def _newcomer(self, address: bytes) -> None:
        found = self.objects.get(address[4:])
        if found:
            raise Refused("ObjectRevoked" if found.state is State.REVOKED else "ObjectIdInUse", oid=address[4:])
        self._free(address)

    def _group(self, gid: bytes) -> Group:
        if gid not in self.groups:
            raise Refused("UnknownGroup", gid=gid)
        return self.groups[gid]

    def _active(self, oid: bytes) -> Object:
        if oid not in self.objects:
            raise Refused("UnknownObject", oid=oid)
        if self.objects[oid].state is State.REVOKED:
            raise Refused("ObjectRevoked", oid=oid)
        return self.objects[oid]

    def _slave_of(self, gid: bytes, oid: bytes) -> Object:
        found = self.objects.get(oid)
        if found is None:
            raise Refused("UnknownObject", oid=oid)
        if found.gid != gid:
            raise Refused("NotInGroup", oid=oid)
        if found.state is State.REVOKED:
            raise Refused("ObjectRevoked", oid=oid)
        if found.state is State.MASTER:
            raise Refused("NotASlave", oid=oid)
        return found
