"""Joins in memory: CPU of the protocol alone, by side, and the bytes of its bodies; the paper's beside them."""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Mapping

import coincurve
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from benchmarks.core_join import CoreMaster, CoreSlave
from benchmarks.paper import PaperBench
from benchmarks.preparing import reference_probe
from benchmarks.timing import Probe, probe_call
from group_protocol.crypto.keys import PrivateKey
from group_protocol.suites import Suite

PAPER = "paper"
JOINS_A_ROUND = {Suite.H1: 20, Suite.E1: 20, Suite.R1: 2}


def both(suite: str) -> str:
    """Name of a measurement: both sides together."""
    return f"join {suite}, protocol alone"


def slave_side(suite: str) -> str:
    """Name of a measurement: the device's part."""
    return f"join {suite}, protocol alone, slave"


def bare(suite: str) -> str:
    """Name of a measurement: the bare public-key operations of both sides."""
    return f"join {suite}, bare primitives"


def join_probes() -> list[Probe]:
    """Ours in all suites, and the paper's."""
    return [
        reference_probe(),
        *(core_join_probe(suite) for suite in (Suite.H1, Suite.E1, Suite.R1)),
        probe_call(bare(Suite.E1), _primitives(has_mlkem=False), 20),
        probe_call(bare(Suite.H1), _primitives(has_mlkem=True), 20),
        _paper_probe(),
    ]


def new_key() -> PrivateKey:
    """A device's key, made beforehand as a device's is; its address too."""
    key = PrivateKey.from_secret(os.urandom(32))
    _ = key.address
    return key


def core_join_probe(suite: Suite) -> Probe:
    """Whole joins of new devices, each side's CPU apart. Ephemeral keys are part of it, R1's RSA key too."""

    def run(times: int) -> Mapping[str, float]:
        keys = [new_key() for _ in range(times)]
        slave_s = both_s = 0.0
        for key in keys:
            slave_part_s, whole_s = _timed_join(suite, key)
            slave_s += slave_part_s
            both_s += whole_s
        return {both(suite): both_s / times, slave_side(suite): slave_s / times}

    return Probe(run, JOINS_A_ROUND[suite])


def _timed_join(suite: Suite, key: PrivateKey) -> tuple[float, float]:
    master, slave, slave_s = CoreMaster(), CoreSlave(suite, key), 0.0
    began_s = time.process_time()
    body = slave.first()
    slave_s += time.process_time() - began_s
    while slave.path:
        answer = master.answer(slave.path, body)
        turn_s = time.process_time()
        body = slave.take(answer)
        slave_s += time.process_time() - turn_s
    return slave_s, time.process_time() - began_s


def body_bytes(suite: Suite) -> list[int]:
    """Lengths of the six bodies of one join."""
    master, slave = CoreMaster(), CoreSlave(suite, new_key())
    lengths, body = [], slave.first()
    while slave.path:
        answer = master.answer(slave.path, body)
        lengths += [len(body), len(answer)]
        body = slave.take(answer)
    return lengths


def _paper_probe() -> Probe:
    paper = PaperBench()

    def run(times: int) -> Mapping[str, float]:
        devices = [paper.new_device() for _ in range(times)]

        async def join_all() -> float:
            began_s = time.process_time()
            for device in devices:
                await paper.join_in_memory(device)
            return (time.process_time() - began_s) / times

        return {both(PAPER): asyncio.run(join_all())}

    return Probe(run, 5)


def _primitives(*, has_mlkem: bool) -> Callable[[], object]:
    """The public-key operations that a join cannot do without, both sides together.

    X25519 twice each way, ML-KEM once, 4 signatures made (M2, M3, token, M5) and the same 4 recovered.
    """
    key, digest = coincurve.PrivateKey(os.urandom(32)), hashlib.sha256().digest()
    signature = key.sign_recoverable(digest, hasher=None)

    def primitives() -> None:
        ours, theirs = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        ours.exchange(theirs.public_key())
        theirs.exchange(ours.public_key())
        if has_mlkem:
            private = MLKEM768PrivateKey.generate()
            _, ciphertext = private.public_key().encapsulate()
            private.decapsulate(ciphertext)
        for _ in range(4):
            key.sign_recoverable(digest, hasher=None)
            coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)

    return primitives
