"""Both machines under a network that drops, repeats, reorders, reflects, cuts and mixes the messages of many sessions.

Three honest devices and two masters share one wire that the adversary owns. It has strangers of its own (without an
invitation, with a wrong code, under another's name) and a false master. What must hold is in
``tests/support/hostile_network.py``; what comes out of a core machine is only ever a RemoteProtocolError.
``VGROUP_HYPOTHESIS=deep`` makes the run long.
"""

from typing import Any, Final

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from group_protocol.channels import RequestReceiver, StreamReceiver
from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import LocalProtocolError, RemoteProtocolError
from group_protocol.handshake import MasterHandshake, MasterPolicy
from group_protocol.identifiers import Address, GroupId
from group_protocol.messages import KeysSessionRequest, SealedRequest
from group_protocol.records import Record
from group_protocol.suites import Suite
from tests.support.hostile_master import HostileTestMaster
from tests.support.hostile_network import MANGLINGS, PORTS, RECORD_PORTS, Mangling, Packet, Port, Witness, mangle
from tests.support.hostile_slave import HostileTestSlave
from tests.support.seeded import SeededRandom

MASTER_NAMES: Final = ("north", "south")
GIDS: Final = {"north": GroupId(b"N" * 16), "south": GroupId(b"S" * 16)}
DEVICES: Final = {"bed 1": "north", "bed 2": "north", "bed 3": "south"}
STRANGERS: Final = ("stranger", "guesser", "liar")
FALSE_MASTER: Final = PrivateKey.from_secret(bytes.fromhex("66" * 32))
OFFERS: Final = ((Suite.E1,), (Suite.H1, Suite.E1), (Suite.E1,), (Suite.H1, Suite.E1), (Suite.R1,))
"""R1 is one of five: it makes an RSA key, which takes as long as forty exchanges of the others."""
AEADS: Final = ((Aead.A256GCM, Aead.C20P1305), (Aead.C20P1305,))

RECENT = st.integers(0, 60)
"""Which packet: 0 is the newest, so that examples shrink towards a network that behaves."""
HONEST = st.sampled_from(sorted(DEVICES))
NODES = st.sampled_from((*MASTER_NAMES, *DEVICES, *STRANGERS))
POSITIONS = st.integers(0, 4_095)


def key_of(name: str) -> PrivateKey:
    return PrivateKey.from_secret(name.encode().rjust(32, b"\x01"))


class AdversarialNetwork(RuleBasedStateMachine):
    """The adversary's moves, and the honest ends' own."""

    def __init__(self) -> None:
        super().__init__()
        self.witness = Witness()
        self.wire: list[Packet] = []
        self.random = SeededRandom(99)
        self.masters = {
            name: HostileTestMaster(key_of(name), GIDS[name], self.witness, seed)
            for seed, name in enumerate(MASTER_NAMES)
        }
        self.slaves = {name: self._make_slave(name, master) for name, master in DEVICES.items()}
        self.strangers = {name: self._make_stranger(name) for name in STRANGERS}
        self.false_handshakes: list[MasterHandshake] = []

    def _make_slave(self, name: str, master: str) -> HostileTestSlave:
        code = self.random.token_bytes(16)
        self.masters[master].invite(code)
        address = self.masters[master].key.address
        return HostileTestSlave(name, key_of(name), master, address, code, self.witness)

    def _make_stranger(self, name: str) -> HostileTestSlave:
        """Its witness is one of its own: what a stranger believes counts for nothing."""
        key = key_of(name)
        if name == "liar":
            victim = key_of("bed 1")
            key.__dict__.update(public_key=victim.public_key, address=victim.address)
        code = None if name == "stranger" else self.random.token_bytes(16)
        return HostileTestSlave(name, key, "north", self.masters["north"].key.address, code, Witness())

    def _packet(self, recent: int) -> Packet:
        return self.wire[-1 - recent % len(self.wire)]

    def _deliver(self, packet: Packet) -> list[Packet]:
        """Hand a packet to the node that it is for; what the node says to it goes onto the wire."""
        slave = self.slaves.get(packet.to) or self.strangers.get(packet.to)
        if slave is not None:
            sent = slave.receive(packet)
        else:
            answers = self.masters[packet.to].receive(packet.port, packet.body, is_opening=packet.is_opening)
            sent = [Packet(packet.to, packet.sender, packet.port, body, packet.seq) for body in answers or []]
        self.wire += sent
        return sent

    # ---- the honest ends ----

    @rule(
        name=st.sampled_from((*DEVICES, *STRANGERS)),
        suites=st.sampled_from(OFFERS),
        aeads=st.sampled_from(AEADS),
        with_candidate=st.booleans(),
    )
    def slave_begins(self, name: str, suites: tuple[Suite, ...], aeads: tuple[Aead, ...], with_candidate: bool) -> None:
        self.wire += (self.slaves | self.strangers)[name].begin(suites, aeads, with_candidate=with_candidate)

    @rule(
        name=HONEST,
        counts=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        is_signed=st.booleans(),
        port=st.sampled_from(RECORD_PORTS),
    )
    def slave_speaks(self, name: str, counts: list[int], is_signed: bool, port: Port) -> None:
        """It waits for no answer: on /data the next frame says again what is not acknowledged yet."""
        slave = self.slaves[name]
        for count in counts:
            slave.say(count, is_signed=is_signed)
            self.wire += slave.send_data() if port == "/data" else slave.open_stream() + slave.send_stream()

    @rule(name=HONEST)
    def slave_asks_on_control(self, name: str) -> None:
        self.wire += self.slaves[name].ask_control()

    @rule(name=HONEST)
    def slave_rotates(self, name: str) -> None:
        """It asks for a new key, or again for the one that it asked for."""
        self.wire += self.slaves[name].ask_for_new_key()

    @rule(name=HONEST, port=st.sampled_from(("/assoc", "/data", "/stream")))
    def slave_changes_keys(self, name: str, port: Port) -> None:
        self.slaves[name].begin_generation(port)

    @rule(name=st.sampled_from(MASTER_NAMES))
    def epoch_rises(self, name: str) -> None:
        self.masters[name].epoch += 1

    @rule(name=st.sampled_from(MASTER_NAMES), is_loaded=st.booleans(), seconds=st.integers(0, 90))
    def load_changes(self, name: str, is_loaded: bool, seconds: int) -> None:
        self.masters[name].is_loaded = is_loaded
        self.masters[name].now_s += seconds

    # ---- the adversary ----

    @precondition(lambda self: self.wire)
    @rule(recent=RECENT)
    def deliver(self, recent: int) -> None:
        self._deliver(self._packet(recent))

    @precondition(lambda self: self.wire)
    @rule(count=st.integers(1, 4))
    def deliver_what_was_just_sent(self, count: int) -> None:
        for packet in self.wire[-count:]:
            self._deliver(packet)

    @precondition(lambda self: self.wire)
    @rule(recent=RECENT)
    def drop(self, recent: int) -> None:
        self.wire.remove(self._packet(recent))

    @precondition(lambda self: self.wire)
    @rule(recent=RECENT, to=NODES, port=st.sampled_from(PORTS), seq=st.integers(0, 3), is_opening=st.booleans())
    def misdeliver(self, recent: int, to: str, port: Port, seq: int, is_opening: bool) -> None:
        """Reflect it, or hand it to another node, session, path or request."""
        packet = self._packet(recent)
        self._deliver(Packet(packet.to, to, port, packet.body, seq, is_opening))

    @precondition(lambda self: self.wire)
    @rule(recent=RECENT, other=RECENT, how=st.sampled_from(MANGLINGS), position=POSITIONS)
    def mangle(self, recent: int, other: int, how: Mangling, position: int) -> None:
        packet = self._packet(recent)
        body = mangle(how, packet.body, self._packet(other).body, position)
        self._deliver(Packet(packet.sender, packet.to, packet.port, body, packet.seq, packet.is_opening))

    @rule(name=HONEST, recent=RECENT, suites=st.sampled_from(OFFERS), is_prompt=st.booleans())
    def play_false_master(self, name: str, recent: int, suites: tuple[Suite, ...], is_prompt: bool) -> None:
        """Answer a device's newest M1 under another key, and read what it says then."""
        slave = self.slaves[name]
        (request,) = slave.begin(suites, AEADS[0])
        m1 = KeysSessionRequest.from_body(request.body)
        policy = MasterPolicy(GIDS[slave.master_name], frozenset(Suite))
        handshake, m2 = MasterHandshake.answer(m1, key=FALSE_MASTER, policy=policy, random=self.random)
        self.false_handshakes.append(handshake)
        answer = Packet(slave.master_name, name, "/keysSession", m2.to_body())
        self.wire += [request, answer]
        for packet in self._deliver(answer) if is_prompt else [self._packet(recent)]:
            self._read_identity(packet)

    def _read_identity(self, packet: Packet) -> None:
        for handshake in self.false_handshakes:
            try:
                handshake._opener.open(0, SealedRequest.from_body(packet.body).sealed)
            except RemoteProtocolError:
                continue
            raise AssertionError("a device told its name to a false master")

    # ---- the network behaves ----

    def _run(self, packets: list[Packet]) -> None:
        """Deliver these and all that follows from them, in order."""
        self.wire += packets
        waiting = list(packets)
        while waiting:
            waiting += self._deliver(waiting.pop(0))

    def _join(self, slave: HostileTestSlave, suites: tuple[Suite, ...], aeads: tuple[Aead, ...]) -> None:
        """Under the new key, if one was asked for; then, as the page says, under the old one."""
        for with_candidate in (True, False):
            before = slave.session
            self._run(slave.begin(suites, aeads, with_candidate=with_candidate))
            if slave.session is not before:
                return
        raise AssertionError("the exchange did not end")

    @rule(name=HONEST, suites=st.sampled_from(OFFERS), aeads=st.sampled_from(AEADS))
    def honest_rotation_finishes(self, name: str, suites: tuple[Suite, ...], aeads: tuple[Aead, ...]) -> None:
        slave = self.slaves[name]
        self._join(slave, suites, aeads)
        self._run(slave.ask_for_new_key())
        wished = slave.candidate
        self._join(slave, suites, aeads)
        assert slave.key is wished
        assert slave.candidate is None

    @rule(name=HONEST, suites=st.sampled_from(OFFERS), aeads=st.sampled_from(AEADS), port=st.sampled_from(RECORD_PORTS))
    def honest_run_finishes(self, name: str, suites: tuple[Suite, ...], aeads: tuple[Aead, ...], port: Port) -> None:
        slave = self.slaves[name]
        self._join(slave, suites, aeads)
        self._run(slave.ask_control())
        slave.say(2, is_signed=False)
        slave.say(1, is_signed=True)
        if port == "/data":
            self._run(slave.send_data())
        else:
            self._run(slave.open_stream())
            self._run(slave.send_stream())
        assert not slave.outbox, "a record was not acknowledged"

    def teardown(self) -> None:
        for name in DEVICES:
            for port in RECORD_PORTS:
                self.honest_run_finishes(name, OFFERS[0], AEADS[0], port)
        self._strangers_come_to_nothing()
        for name in DEVICES:
            self.honest_rotation_finishes(name, OFFERS[0], AEADS[0])
            self.honest_run_finishes(name, OFFERS[0], AEADS[0], "/data")
        self._strangers_come_to_nothing()
        for master in self.masters.values():
            assert set(master.enrolled) <= {slave.key.address for slave in self.slaves.values()}, "a key too many"

    def _strangers_come_to_nothing(self) -> None:
        for stranger in self.strangers.values():
            self._run(stranger.begin(OFFERS[0], AEADS[0]))
            assert stranger.session is None


QUICK: Final = settings(stateful_step_count=60, max_examples=max(settings().max_examples // 2, 40), print_blob=True)
AdversarialNetwork.TestCase.settings = QUICK
TestAdversarialNetwork = AdversarialNetwork.TestCase
# Hypothesis also draws constants of whatever modules the process has loaded, so that the same profile draws otherwise
# beside other tests: what a flaw needs may come at the eighth example or at the fiftieth. It ends with the first.
UNTIL_FOUND: Final = settings(QUICK, max_examples=2_000, phases=[Phase.generate])


def take_a_repeated_request(_receiver: RequestReceiver, _request: SealedRequest) -> None:
    """Forget what was seen."""


def open_in_any_order(receiver: StreamReceiver, message: bytes) -> bytes:
    """Open whatever seq it says."""
    return receiver._opener.open(int.from_bytes(message[:8], "big"), message[8:])


def believe(_digest: bytes, _signature: bytes, _signer: Address) -> None:
    """Take any signature for good."""


def store_again(progress: Any, record: Record) -> None:
    """Take a repetition for something new."""
    progress._take_new(record)


def keep_the_old_key(_master: HostileTestMaster, _old: Address) -> None:
    """Admit a device under a key that it rotated out."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("target", "flaw"),
    [
        ("group_protocol.channels.RequestReceiver._remember", take_a_repeated_request),
        ("group_protocol.channels.StreamReceiver.open", open_in_any_order),
        ("group_protocol.handshake.slave.verify_signature", believe),
        ("group_protocol.handshake.master.verify_signature", believe),
        ("group_protocol.intake._Progress._take_repetition", store_again),
        ("tests.support.hostile_master.HostileTestMaster._forget_key", keep_the_old_key),
    ],
)
def test_network_finds_what_a_flawed_core_would_allow(
    target: str, flaw: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, flaw)
    with pytest.raises((AssertionError, LocalProtocolError, ExceptionGroup)):
        run_state_machine_as_test(AdversarialNetwork, settings=UNTIL_FOUND)
