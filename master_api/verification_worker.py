"""``python -m master_api.verification_worker``: checks signatures of records in a process of its own, on another core.

Requests on stdin, answers on stdout, in their order; the end of stdin ends it. Nothing secret comes here: it sees what
devices signed and says whether they did.

::

    request = u32(length) ‖ chain id (u64) ‖ contract (20) ‖ gid (16) ‖ sender (16) ‖ signer (20) ‖ signed records
    answer  = u32(length) ‖ one byte for each record: 1 if the signer signed it
"""

import os
import signal
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from group_protocol.errors import VerificationError
from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.ports import RegistryIdentity
from group_protocol.records import SignedRecord, decode_items, encode_items, verify_record
from group_protocol.typed_data import TypedDataDomain
from system_ports.garbage import settle_collector

LENGTH: Final = struct.Struct(">I")
_HEAD: Final = struct.Struct(">Q20s16s16s20s")
_READ_BYTES: Final = 1 << 20


def encode_request(
    domain: TypedDataDomain, gid: GroupId, sender: ObjectId, signer: Address, records: Sequence[SignedRecord]
) -> bytes:
    """A request, with its length."""
    identity = domain.identity
    body = _HEAD.pack(identity.chain_id, identity.contract, gid, sender, signer) + encode_items(records)
    return LENGTH.pack(len(body)) + body


def answer_request(body: bytes) -> bytes:
    """The answer to a request's body, with its length."""
    chain_id, contract, gid, sender, signer = _HEAD.unpack_from(body)
    domain = TypedDataDomain(RegistryIdentity(chain_id, Address(contract)))
    verdicts = bytearray()
    for item in decode_items(body[_HEAD.size :]):
        verdicts.append(_is_signed(item, domain, gid, sender, signer) if isinstance(item, SignedRecord) else 0)
    return LENGTH.pack(len(verdicts)) + bytes(verdicts)


def _is_signed(record: SignedRecord, domain: TypedDataDomain, gid: GroupId, sender: ObjectId, signer: Address) -> bool:
    try:
        verify_record(record, domain, gid, sender, signer)
    except VerificationError:
        return False
    return True


def _read_requests(descriptor: int) -> Iterator[bytes]:
    waiting = bytearray()
    while piece := os.read(descriptor, _READ_BYTES):
        waiting += piece
        while len(waiting) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(waiting)[0]
            if len(waiting) < end:
                break
            yield bytes(waiting[LENGTH.size : end])
            del waiting[:end]


def main() -> None:
    """Answer until stdin ends. Ctrl-C is the master's affair: it closes stdin when it is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle_collector()
    for body in _read_requests(0):
        answer = answer_request(body)
        while answer:
            answer = answer[os.write(1, answer) :]


if __name__ == "__main__":
    main()
