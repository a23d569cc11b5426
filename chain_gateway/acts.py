"""What the port's requests are as calls of the contract: calldata and a gas limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from chain_gateway.contract_abi import ContractAbi
from group_protocol.errors import LocalProtocolError
from group_protocol.identifiers import (
    ADDRESS_BYTES,
    GROUP_ID_BYTES,
    HASH_BYTES,
    OBJECT_ID_BYTES,
    SIGNATURE_BYTES,
)
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from group_protocol.ports import (
    AnchorRequest,
    AssociationRequest,
    CreateGroupRequest,
    ExchangeProof,
    MasterRotationRequest,
    RevocationRequest,
    RotationRequest,
)

GAS_LIMITS = {
    "createGroup": 200_000,
    "associate": 150_000,
    "recordExchange": 120_000,
    "anchor": 100_000,
    "revoke": 120_000,
    "rotate": 180_000,
    "rotateMaster": 180_000,
}
"""Gas limit per function: at least twice what it uses (``docs/gas.md``), for gas schedules to come. Unused gas costs
nothing, and a fixed limit saves an estimation per transaction."""

BATCH_GAS_LIMIT = 60_000
"""For a batch's transaction itself, and..."""
BATCH_ITEM_GAS_LIMIT = 90_000
"""...for each of its items."""

_Half = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Act:
    """A call that changes something."""

    function: str
    calldata: bytes
    gas_limit: int


class ActEncoder:
    """Encodes requests. Every method raises LocalProtocolError for a value of the wrong width or range."""

    def __init__(self, abi: ContractAbi) -> None:
        self._abi = abi

    def create_group(self, request: CreateGroupRequest) -> Act:
        """``createGroup``."""
        salt, master = _exactly(request.salt, HASH_BYTES), _exactly(request.master, ADDRESS_BYTES)
        return self._act("createGroup", salt, master, request.deadline_unix_s, _halves(request.signature))

    def associate(self, request: AssociationRequest) -> Act:
        """``associate``."""
        return self._act("associate", _association(request))

    def associate_batch(self, requests: Sequence[AssociationRequest]) -> Act:
        """``associateBatch``, of 1 to ASSOCIATION_BATCH_MAX items."""
        if not 0 < len(requests) <= ASSOCIATION_BATCH_MAX:
            raise LocalProtocolError(f"a batch has 1 to {ASSOCIATION_BATCH_MAX} associations, not {len(requests)}")
        calldata = self._abi.encode_call("associateBatch", [_association(request) for request in requests])
        return Act("associateBatch", calldata, BATCH_GAS_LIMIT + BATCH_ITEM_GAS_LIMIT * len(requests))

    def record_exchange(self, proof: ExchangeProof) -> Act:
        """``recordExchange``."""
        return self._act("recordExchange", *_exchange(proof))

    def verify_exchange(self, proof: ExchangeProof) -> bytes:
        """Calldata of the view ``verifyExchange``."""
        return self._abi.encode_call("verifyExchange", *_exchange(proof))

    def anchor(self, request: AnchorRequest) -> Act:
        """``anchor``."""
        gid, root = _exactly(request.gid, GROUP_ID_BYTES), _exactly(request.root, HASH_BYTES)
        return self._act("anchor", gid, root, request.from_record, request.to_record, _halves(request.signature))

    def revoke(self, request: RevocationRequest) -> Act:
        """``revoke``."""
        gid, oid = _exactly(request.gid, GROUP_ID_BYTES), _exactly(request.oid, OBJECT_ID_BYTES)
        return self._act("revoke", gid, oid, request.deadline_unix_s, _halves(request.signature))

    def rotate(self, request: RotationRequest) -> Act:
        """``rotate``."""
        return self._act(
            "rotate",
            _exactly(request.gid, GROUP_ID_BYTES),
            _exactly(request.oid, OBJECT_ID_BYTES),
            _exactly(request.new_address, ADDRESS_BYTES),
            request.deadline_unix_s,
            _halves(request.by_old),
            _halves(request.by_new),
        )

    def rotate_master(self, request: MasterRotationRequest) -> Act:
        """``rotateMaster``."""
        return self._act(
            "rotateMaster",
            _exactly(request.gid, GROUP_ID_BYTES),
            _exactly(request.new_master, ADDRESS_BYTES),
            request.deadline_unix_s,
            _halves(request.by_old),
            _halves(request.by_new),
        )

    def _act(self, function: str, *arguments: object) -> Act:
        return Act(function, self._abi.encode_call(function, *arguments), GAS_LIMITS[function])


def _association(request: AssociationRequest) -> tuple[bytes, _Half, _Half, int]:
    gid = _exactly(request.gid, GROUP_ID_BYTES)
    return gid, _halves(request.token), _halves(request.request), request.deadline_unix_s


def _exchange(proof: ExchangeProof) -> tuple[object, ...]:
    return (
        _exactly(proof.gid, GROUP_ID_BYTES),
        _exactly(proof.sender, OBJECT_ID_BYTES),
        _exactly(proof.receiver, OBJECT_ID_BYTES),
        _exactly(proof.payload_hash, HASH_BYTES),
        proof.seq,
        proof.epoch,
        _halves(proof.signature),
    )


def _halves(signature: bytes) -> _Half:
    """R and yParityAndS (EIP-2098)."""
    raw = _exactly(signature, SIGNATURE_BYTES)
    return raw[:HASH_BYTES], raw[HASH_BYTES:]


def _exactly(raw: bytes, length_bytes: int) -> bytes:
    # The ABI encoder pads a short value in silence.
    if len(raw) != length_bytes:
        raise LocalProtocolError(f"a value for the contract has {len(raw)} bytes, not {length_bytes}")
    return raw
