"""A register with groups and members in it, and the acts that change it: what the tests and the gas report share."""

from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from tests.contract.acts import Actor, Acts, Association, Signature
from tests.contract.local_evm import START_S, Outcome
from tests.contract.local_register import LocalRegister

DEADLINE = START_S + 3600


@dataclass(frozen=True, slots=True)
class Ward:
    """A register and the master of one group in it. Every act is a good one unless an argument says otherwise."""

    register: LocalRegister
    master: Actor
    salt: bytes
    gid: bytes
    """The group's id, as the contract derives it."""

    @property
    def acts(self) -> Acts:
        """What is signed for this register."""
        return self.register.acts

    @property
    def epoch(self) -> int:
        """The group's epoch."""
        return int(self.register.read("groupOf", self.gid)[2])

    def create(self) -> Outcome:
        """Create the group."""
        fields: dict[str, Any] = {"salt": self.salt, "master": self.master.address, "deadline": DEADLINE}
        signature = self.acts.sign(self.master, "CreateGroup", **fields)
        return self.register.send("createGroup", *fields.values(), signature)

    def request(self, slave: Actor) -> Association:
        """Make a slave's request to join."""
        return self.acts.association(self.gid, self.master, slave, DEADLINE)

    def associate(self, slave: Actor) -> Outcome:
        """Join a slave."""
        return self.register.send("associate", self.request(slave))

    def revoke(self, oid: bytes, *, by: Actor | None = None) -> Outcome:
        """Revoke an object."""
        fields: dict[str, Any] = {"gid": self.gid, "oid": oid, "deadline": DEADLINE}
        return self.register.send("revoke", *fields.values(), self.acts.sign(by or self.master, "Revocation", **fields))

    def rotate(self, oid: bytes, old: Actor, new: Actor) -> Outcome:
        """Give a slave a new key."""
        fields: dict[str, Any] = {"gid": self.gid, "oid": oid, "newAddress": new.address, "deadline": DEADLINE}
        signatures = [self.acts.sign(signer, "Rotation", **fields) for signer in (old, new)]
        return self.register.send("rotate", *fields.values(), *signatures)

    def rotate_master(self, old: Actor, new: Actor) -> Outcome:
        """Give the master a new key."""
        fields: dict[str, Any] = {"gid": self.gid, "newMaster": new.address, "deadline": DEADLINE}
        signatures = [self.acts.sign(signer, "MasterRotation", **fields) for signer in (old, new)]
        return self.register.send("rotateMaster", *fields.values(), *signatures)

    def exchange(self, sender: Actor, to: bytes, seq: int, **changed: Any) -> list[Any]:
        """Make the arguments of verifyExchange and recordExchange, with other values or another `signed_by`."""
        signer = changed.pop("signed_by", sender)
        fields: dict[str, Any] = {
            "gid": self.gid,
            "from_": sender.oid,
            "to": to,
            "payloadHash": keccak(text=f"payload {seq}"),
            "seq": seq,
            "epoch": self.epoch,
        } | changed
        return [*fields.values(), self.acts.sign(signer, "Exchange", **fields)]

    def checkpoint(self, sender: Actor, first_seq: int, last_seq: int, **changed: Any) -> list[Any]:
        """Make the arguments of verifyCheckpoint."""
        signer = changed.pop("signed_by", sender)
        fields: dict[str, Any] = {
            "gid": self.gid,
            "from_": sender.oid,
            "firstSeq": first_seq,
            "lastSeq": last_seq,
            "epoch": self.epoch,
            "runningHash": keccak(text="run"),
        } | changed
        return [*fields.values(), self.acts.sign(signer, "Checkpoint", **fields)]

    def anchor(self, from_record: int, to_record: int, *, by: Actor | None = None) -> Outcome:
        """Log a commitment to records."""
        root = keccak(text=f"root {from_record}")
        fields: dict[str, Any] = {"gid": self.gid, "root": root, "fromRecord": from_record, "toRecord": to_record}
        return self.register.send("anchor", *fields.values(), self.acts.sign(by or self.master, "Anchor", **fields))


def ward(register: LocalRegister, name: str) -> Ward:
    """Return the ward of that name, whose group does not exist yet."""
    master, salt = Actor.named(f"master of {name}"), keccak(text=f"salt of {name}")
    return Ward(register, master, salt, register.read("deriveGroupId", master.address, salt))


def signature_of_nobody() -> Signature:
    """Return r = s = 0, which ecrecover answers with the zero address."""
    return bytes(32), bytes(32)
