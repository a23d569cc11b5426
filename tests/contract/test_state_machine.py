"""Algorithms 1 and 3, membership and batches on the real bytecode, in any order, against the model of the rules.

After every act all views agree with the model; every refusal is the one that the model gives, with its arguments; every
event is the one that the model expects. `make prove-contract` runs it long: PROOF=deep.
"""

import os
from collections.abc import Callable
from typing import Any

from eth_abi.abi import encode
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import SearchStrategy

from tests.contract.acts import Actor, Association, Signature
from tests.contract.local_evm import START_S, LocalEvm, Outcome
from tests.contract.local_register import LocalRegister
from tests.contract.many_views import read_many
from tests.contract.register_model import NO_OBJECT, NOBODY, Event, Refused, RegisterModel, Request, Statement
from tests.contract.scenario import signature_of_nobody

ACTORS = [Actor.named(f"actor of the machine {number}") for number in range(10)]
SALT = b"\x5a" * 32
UNKNOWN_GROUP, UNKNOWN_OBJECT = b"\x01" * 16, b"\x02" * 16
RIGHT = 99
"""Stands for whoever has to sign."""

actors = st.integers(0, len(ACTORS) - 1)
groups = st.sampled_from([0, 1] * 8 + [*range(len(ACTORS) + 1)])
"""A group by the number of its first master; one more than the last actor is a group that nobody forms."""
homes = st.sampled_from([RIGHT] * 12 + [0, 1, len(ACTORS)])
"""A group; `RIGHT` is that of the object."""
newcomers = st.sampled_from([*range(5, len(ACTORS))] * 3 + [*range(-1, len(ACTORS))])
"""An actor, most often one that the register does not know at first; -1 has the zero address."""
objects = st.sampled_from([2, 3, 4] * 6 + [*range(len(ACTORS) + 1)])
signers: SearchStrategy[int] = st.sampled_from([RIGHT] * 60 + [*range(len(ACTORS)), -1])
"""Who signs; -1 is a signature of nobody."""
deadlines = st.sampled_from([3600] * 30 + [0, -1])
"""Seconds from now."""
epochs = st.sampled_from([0] * 8 + [-1, 1])
"""Added to the group's epoch."""
seqs = st.integers(0, 12) | st.sampled_from([2**56 - 1, 2**56, 2**64 - 1])
numbers = st.integers(0, 3) | st.just(2**64 - 1)


def address_of(number: int) -> bytes:
    return ACTORS[number].address if 0 <= number < len(ACTORS) else NOBODY


def oid_of(number: int) -> bytes:
    return ACTORS[number].oid if number < len(ACTORS) else UNKNOWN_OBJECT


def normalised(value: Any) -> Any:
    """Addresses as bytes, as the model has them."""
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value


class RegisterMachine(RuleBasedStateMachine):
    """Does the same to the register and to the model."""

    @initialize()
    def deploy(self) -> None:
        self.register = LocalRegister.deploy(LocalEvm())
        self.acts = self.register.acts
        self.model = RegisterModel(START_S)
        derive = self.register.read
        self.gids = [*(derive("deriveGroupId", actor.address, SALT) for actor in ACTORS), UNKNOWN_GROUP]
        self.selectors = {name: selector for selector, name in self.register.errors.items()}
        for master in (0, 1):
            self.create_group(master, RIGHT, 3600)
        for group, slave in ((0, 2), (0, 3), (1, 4)):
            self.associate(group, slave, RIGHT, RIGHT, 3600)

    # rules

    @rule(master=actors, signer=signers, late=deadlines)
    def create_group(self, master: int, signer: int, late: int) -> None:
        address, deadline = address_of(master), self.model.now + late
        signed_by = master if signer == RIGHT else signer
        fields = {"salt": SALT, "master": address, "deadline": deadline}
        self._both(
            lambda: self.model.create_group(self.gids[master], address, deadline, address_of(signed_by)),
            "createGroup",
            *fields.values(),
            self._sign(signed_by, "CreateGroup", **fields),
        )

    @rule(deadline=deadlines)
    def create_group_of_the_zero_address(self, deadline: int) -> None:
        when = self.model.now + deadline
        self._both(
            lambda: self.model.create_group(UNKNOWN_GROUP, NOBODY, when, NOBODY),
            "createGroup",
            *(SALT, NOBODY, when, signature_of_nobody()),
        )

    @rule(group=groups, slave=actors, token_by=signers, signer=signers, late=deadlines)
    def associate(self, group: int, slave: int, token_by: int, signer: int, late: int) -> None:
        request, item = self._request(group, slave, token_by, signer, late)
        self._both(lambda: self.model.associate(request), "associate", item)

    @rule(items=st.lists(st.tuples(groups, actors, signers, signers, deadlines), min_size=1, max_size=3))
    def associate_batch(self, items: list[tuple[int, int, int, int, int]]) -> None:
        made = [self._request(*item) for item in items]
        self._both(
            lambda: self.model.associate_batch([request for request, _ in made]),
            "associateBatch",
            [item for _, item in made],
        )

    @rule(group=homes, sender=objects, to=st.integers(0, 4) | objects, seq=seqs, epoch=epochs, signer=signers)
    def record_exchange(self, group: int, sender: int, to: int, seq: int, epoch: int, signer: int) -> None:
        gid, signed_by = self._home(group, sender), self._owner(sender, signer)
        payload_hash, named = bytes([seq % 256]) * 32, max(0, self.model.group_view(gid)[2] + epoch)
        said = Statement(gid, oid_of(sender), oid_of(to), payload_hash, seq, named, address_of(signed_by))
        fields: dict[str, Any] = {"gid": gid, "from_": said.sender, "to": said.receiver}
        fields |= {"payloadHash": payload_hash, "seq": seq, "epoch": named}
        arguments = [*fields.values(), self._sign(signed_by, "Exchange", **fields)]
        self._look(lambda: self.model.verify_exchange(said), "verifyExchange", *arguments)
        self._both(lambda: self.model.record_exchange(said), "recordExchange", *arguments)

    @rule(group=homes, sender=objects, first=numbers, last=numbers, epoch=epochs, signer=signers)
    def verify_checkpoint(self, group: int, sender: int, first: int, last: int, epoch: int, signer: int) -> None:
        gid, signed_by = self._home(group, sender), self._owner(sender, signer)
        named = max(0, self.model.group_view(gid)[2] + epoch)
        fields = {"gid": gid, "from_": oid_of(sender), "firstSeq": first, "lastSeq": last, "epoch": named}
        signature = self._sign(signed_by, "Checkpoint", **fields, runningHash=SALT)
        self._look(
            lambda: self.model.verify_checkpoint(gid, oid_of(sender), first, last, named, address_of(signed_by)),
            "verifyCheckpoint",
            *fields.values(),
            SALT,
            signature,
        )

    @rule(group=groups, first=numbers, last=numbers, signer=signers)
    def anchor(self, group: int, first: int, last: int, signer: int) -> None:
        gid, signed_by = self.gids[group], self._master(group, signer)
        fields = {"gid": gid, "root": SALT, "fromRecord": first, "toRecord": last}
        self._both(
            lambda: self.model.anchor(gid, SALT, first, last, address_of(signed_by)),
            "anchor",
            *fields.values(),
            self._sign(signed_by, "Anchor", **fields),
        )

    @rule(group=homes, slave=objects, signer=signers, late=deadlines)
    def revoke(self, group: int, slave: int, signer: int, late: int) -> None:
        gid, oid, deadline = self._home(group, slave), oid_of(slave), self.model.now + late
        signed_by = self._master_of(gid, signer)
        fields = {"gid": gid, "oid": oid, "deadline": deadline}
        self._both(
            lambda: self.model.revoke(gid, oid, deadline, address_of(signed_by)),
            "revoke",
            *fields.values(),
            self._sign(signed_by, "Revocation", **fields),
        )

    @rule(group=homes, slave=objects, new=newcomers, by_old=signers, by_new=signers, late=deadlines)
    def rotate(self, group: int, slave: int, new: int, by_old: int, by_new: int, late: int) -> None:
        gid, oid, deadline = self._home(group, slave), oid_of(slave), self.model.now + late
        by = (self._owner(slave, by_old), new if by_new == RIGHT else by_new)
        fields = {"gid": gid, "oid": oid, "newAddress": address_of(new), "deadline": deadline}
        signatures = [self._sign(one, "Rotation", **fields) for one in by]
        self._both(
            lambda: self.model.rotate(gid, oid, address_of(new), deadline, (address_of(by[0]), address_of(by[1]))),
            "rotate",
            *fields.values(),
            *signatures,
        )

    @rule(group=groups, new=newcomers, by_old=signers, by_new=signers, late=deadlines)
    def rotate_master(self, group: int, new: int, by_old: int, by_new: int, late: int) -> None:
        gid, deadline = self.gids[group], self.model.now + late
        by = (self._master(group, by_old), new if by_new == RIGHT else by_new)
        fields = {"gid": gid, "newMaster": address_of(new), "deadline": deadline}
        signatures = [self._sign(one, "MasterRotation", **fields) for one in by]
        self._both(
            lambda: self.model.rotate_master(gid, address_of(new), deadline, (address_of(by[0]), address_of(by[1]))),
            "rotateMaster",
            *fields.values(),
            *signatures,
        )

    @rule(seconds=st.integers(0, 100))
    def wait(self, seconds: int) -> None:
        self.model.now += seconds
        self.register.evm.set_time(self.model.now)

    # what always holds

    @invariant()
    def every_view_agrees_with_the_model(self) -> None:
        wanted: list[tuple[str, bytes, list[str], tuple[Any, ...]]] = []
        for gid in self.gids:
            wanted.append(("groupOf", gid, ["address", "uint32", "uint64"], self.model.group_view(gid)))
            wanted.append(("checkGID", gid, ["bool"], (gid in self.model.groups,)))
        for number in range(len(ACTORS) + 1):
            oid, shape = oid_of(number), ["address", "uint32", "uint8", "uint56"]
            wanted.append(("objectOf", oid, shape, self.model.object_view(oid)))
            wanted.append(("checkOID", oid, ["bool"], (oid in self.model.objects,)))
        for actor in ACTORS:
            owner = self.model.owner_of.get(actor.oid)
            wanted.append(("checkAddr", actor.address, ["bool"], (owner is not None,)))
            wanted.append(("objectIdOf", actor.address, ["bytes16"], (owner or NO_OBJECT,)))
        payloads = [(self.register.encode(name, argument), 32 * len(types)) for name, argument, types, _ in wanted]
        answers = read_many(self.register.evm, self.register.address, payloads)
        for (name, argument, types, values), answer in zip(wanted, answers, strict=True):
            assert answer == encode(types, values), (name, argument.hex(), values, answer.hex())

    # inside

    def _both(self, on_model: Callable[[], list[Event]], function: str, *arguments: Any) -> None:
        """Do it to both; the outcome has to be the same."""
        outcome = self.register.send(function, *arguments)
        try:
            events = on_model()
        except Refused as refusal:
            self._is_refused(outcome, refusal)
            return
        assert outcome.succeeded, self.register.refusal(outcome)
        emitted = [
            (event.name, {name: normalised(value) for name, value in event.arguments.items()})
            for event in self.register.events(outcome)
        ]
        assert emitted == [(name, self._with_selector(fields)) for name, fields in events]

    def _look(self, at_model: Callable[[], None], function: str, *arguments: Any) -> None:
        """Ask both."""
        outcome = self.register.call(function, *arguments)
        try:
            at_model()
        except Refused as refusal:
            self._is_refused(outcome, refusal)
            return
        assert outcome.output == (1).to_bytes(32, "big"), outcome

    def _is_refused(self, outcome: Outcome, refusal: Refused) -> None:
        error = self.register.refusal(outcome)
        said = {name: normalised(value) for name, value in error.arguments.items()}
        assert (error.name, said) == (f"VirtualGroups_{refusal.name}", refusal.arguments)
        assert outcome.logs == ()

    def _with_selector(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "reason" not in fields:
            return fields
        return fields | {"reason": self.selectors[f"VirtualGroups_{fields['reason']}"]}

    def _request(self, group: int, slave: int, token_by: int, signer: int, late: int) -> tuple[Request, Association]:
        gid, deadline = self.gids[group], self.model.now + late
        token_signer, requester = self._master(group, token_by), slave if signer in (RIGHT, -1) else signer
        named = ACTORS[slave]
        token = ACTORS[token_signer].token_for(gid, named) if token_signer >= 0 else signature_of_nobody()
        signature = signature_of_nobody()
        if signer != -1:
            fields = {"gid": gid, "tokenR": token[0], "tokenVs": token[1], "deadline": deadline}
            signature = self._sign(requester, "Association", **fields)
        # A token that names another than the requester is nobody's word for the requester.
        tokens_word = address_of(token_signer) if requester == slave else NOBODY
        asked_by = address_of(requester) if signer != -1 else NOBODY
        return Request(gid, asked_by, tokens_word, deadline), (gid, token, signature, deadline)

    def _sign(self, signer: int, struct: str, **fields: Any) -> Signature:
        if not 0 <= signer < len(ACTORS):
            return signature_of_nobody()
        return self.acts.sign(ACTORS[signer], struct, **fields)

    def _number_of(self, address: bytes) -> int:
        return next((place for place, actor in enumerate(ACTORS) if actor.address == address), -1)

    def _home(self, group: int, member: int) -> bytes:
        """The group, or the object's own where that is asked for."""
        if group != RIGHT:
            return bytes(self.gids[group])
        found = self.model.objects.get(oid_of(member))
        return found.gid if found else UNKNOWN_GROUP

    def _master(self, group: int, signer: int) -> int:
        return self._master_of(self.gids[group], signer)

    def _master_of(self, gid: bytes, signer: int) -> int:
        """The number of the group's master where the right one is asked for."""
        return self._number_of(self.model.group_view(gid)[0]) if signer == RIGHT else signer

    def _owner(self, member: int, signer: int) -> int:
        """The number of the object's present key where the right one is asked for."""
        return self._number_of(self.model.object_view(oid_of(member))[0]) if signer == RIGHT else signer


IS_DEEP = os.environ.get("PROOF") == "deep"
TestRegisterMachine = RegisterMachine.TestCase
TestRegisterMachine.settings = settings(
    max_examples=1500 if IS_DEEP else 16,
    stateful_step_count=60 if IS_DEEP else 30,
    derandomize=not IS_DEEP,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
