"""What two cores can do at most where every record is signed: the devices' signing and the master's checking alone."""

import multiprocessing
import os
import time
from dataclasses import asdict, dataclass

from benchmarks.fixtures import DEVICE_KEY, DOMAIN, GID
from group_protocol.crypto.keys import verify_signature
from group_protocol.identifiers import ObjectId
from group_protocol.records import payload_hash

_SENDER = ObjectId(b"s" * 16)
_RECEIVER = ObjectId(b"r" * 16)


@dataclass(frozen=True, slots=True)
class SignatureBound:
    """Signatures a second, on all cores at once, nothing else done: digest and arithmetic.

    Attributes:
        verified_per_s: All cores check.
        both_per_s: All cores sign a record and check it, as where devices and master share them.
    """

    cores: int
    verified_per_s: float
    both_per_s: float

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self)


def measure_bound(for_s: float) -> SignatureBound:
    """Both, one after the other."""
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        verified = sum(pool.map(_verify_for, [for_s] * cores, chunksize=1))
        both = sum(pool.map(_sign_and_verify_for, [for_s] * cores, chunksize=1))
    return SignatureBound(cores, verified, both)


def _digest(seq: int) -> bytes:
    return DOMAIN.exchange_digest(GID, _SENDER, _RECEIVER, payload_hash(bytes(64)), seq, 1)


def _verify_for(for_s: float) -> float:
    signature = DEVICE_KEY.sign_digest(_digest(1))
    began_s, count = time.monotonic(), 0
    while time.monotonic() - began_s < for_s:
        verify_signature(_digest(1), signature, DEVICE_KEY.address)
        count += 1
    return count / (time.monotonic() - began_s)


def _sign_and_verify_for(for_s: float) -> float:
    began_s, count = time.monotonic(), 0
    while time.monotonic() - began_s < for_s:
        signature = DEVICE_KEY.sign_digest(_digest(count))
        verify_signature(_digest(count), signature, DEVICE_KEY.address)
        count += 1
    return count / (time.monotonic() - began_s)
