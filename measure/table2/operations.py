"""What Table 2 times, in both systems, each as a function without arguments."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from group_protocol.crypto.aead import Aead
from group_protocol.ports import Random
from group_protocol.senml import Reading
from measure.bench.device import make_device
from measure.paper_baseline.ciphers import new_session_key
from measure.paper_baseline.clear_texts import Ticket
from measure.paper_baseline.signatures import derive_address
from measure.paper_baseline.slave import DataForm, Device, prepare_association_request, prepare_data_message
from measure.table2.published import ASSOCIATION, DATA, SIGNED_DATA

OURS: Final = "ours"
THEIRS: Final = "paper's protocol"
READING_NAME: Final = "ppg"
CONTAINS: Final = {
    ASSOCIATION: "ours: EIP-712 digest, ECDSA, AEAD, JSON; the paper's: Keccak, ECDSA, JSON, AES-CBC, JSON",
    DATA: "ours: SenML, AEAD, JSON (one signature for many follows later); the paper's experiments: AES-CBC, JSON",
    SIGNED_DATA: "ours: SenML, EIP-712, ECDSA, AEAD, JSON; the paper's section 4.2: Keccak, ECDSA, AES-CBC, JSON",
}
"""Neither contains the making of keys, network, disk, or chain."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One operation in both systems; each call prepares one message and answers its body."""

    operation: str
    ours: Callable[[], bytes]
    theirs: Callable[[], bytes]

    def of(self, system: str) -> Callable[[], bytes]:
        """The function of one system."""
        return self.ours if system == OURS else self.theirs


def make_pairs(random: Random, aead: Aead) -> tuple[Pair, ...]:
    """Set both systems up, keys and sessions made, ready to prepare. Takes about half a second, for RSA keys."""
    ours = make_device(random, aead)
    device = Device.generate(os.urandom)
    session = new_session_key(os.urandom)
    ticket = Ticket(random.token_bytes(10), device.object_id, derive_address(device.public_key), random.token_bytes(64))

    def reading() -> Reading:
        return Reading(READING_NAME, time.time(), 512.0)

    def paper_reading() -> bytes:
        return json.dumps({"n": READING_NAME, "t": time.time(), "v": 512.0}).encode()

    return (
        Pair(
            ASSOCIATION, ours.prepare_association_request, lambda: prepare_association_request(device, session, ticket)
        ),
        Pair(
            DATA,
            lambda: ours.prepare_checkpointed_data(reading()),
            lambda: prepare_data_message(device, session, ticket, paper_reading()),
        ),
        Pair(
            SIGNED_DATA,
            lambda: ours.prepare_signed_data(reading()),
            lambda: prepare_data_message(device, session, ticket, paper_reading(), DataForm.SECTION_4_2),
        ),
    )
