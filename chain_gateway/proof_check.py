"""Checking a proof of a record with nothing but the chain: no master, no store of its (``docs/protocol.md`` §10).

The chain is any node's JSON-RPC, or the folder of an embedded chain, of which a copy is read: the master may run on.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import ClientTimeout
from web3 import AsyncWeb3

from chain_gateway.composition import EMBEDDED_DIRECTORY
from chain_gateway.config import GATEWAY_FOLDER, ReplicaTimes
from chain_gateway.contract_abi import ContractAbi
from chain_gateway.contract_check import check_contract
from chain_gateway.embedded import open_embedded_chain
from chain_gateway.embedded.chain import CHAIN_FILE
from chain_gateway.events import EventDecoder
from chain_gateway.node import ChainNode
from chain_gateway.node_provider import NodeProvider
from chain_gateway.replica import EventReplica
from contracts import load_artifact
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, VerificationError
from group_protocol.identifiers import Address
from group_protocol.membership import Anchored, Associated, ChainEvent, GroupCreated, Revoked, Rotated, first_anchors
from group_protocol.ports import RegistryIdentity
from group_protocol.record_proofs import RecordProof
from group_protocol.typed_data import TypedDataDomain

_REQUEST_TIMEOUT_S = 30.0
_NO_RELAYER = b"\x01" * 32
"""Nothing is sent; the embedded chain wants an account all the same."""


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """What a good proof shows.

    Attributes:
        signer: The address whose signature the record bears: the device's, in the record's epoch.
        master: The group's first master, from whose address the gid is derived.
        anchored_at_unix_s: The anchor's block time: the record existed no later.
    """

    signer: Address
    master: Address
    anchored_at_unix_s: int


async def check_proof(proof: RecordProof, chain: str, *, contract: Address | None, from_block: int = 0) -> CheckedProof:
    """Check a proof against a chain.

    Args:
        proof: What is to be shown.
        chain: URL of a node's JSON-RPC, or the folder of an embedded chain or of the master that has it.
        contract: The contract that is trusted; None: the one that the proof names, whose code is checked.
        from_block: Where the search for its events begins.

    Raises:
        VerificationError: The proof does not hold; says what does not.
        RegistryInconsistent: Another chain or contract stands there.
        RegistryUnavailable, ConfigurationError: The chain cannot be reached.
    """
    if contract is not None and contract != proof.contract:
        raise VerificationError(f"the proof is for the contract 0x{proof.contract.hex()}")
    proof.verify_anchored()
    async with _open_node(chain, proof.chain_id) as node:
        identity = RegistryIdentity(proof.chain_id, proof.contract)
        await check_contract(node, load_artifact(), identity)
        events = await _fetch_events(node, identity, from_block)
        anchor = _find_anchor(proof, events)
        signer = _find_signer(proof, events)
        proof.verify_said(TypedDataDomain(identity), signer)
        master = next((it.master for it in events if isinstance(it, GroupCreated) and it.gid == proof.gid), None)
        block = await node.fetch_block(anchor.at.block_number)
        if block is None or master is None:
            raise VerificationError("the chain does not hold the anchor's block or the group's creation")
        return CheckedProof(signer, master, block.timestamp_unix_s)


async def _fetch_events(node: ChainNode, identity: RegistryIdentity, from_block: int) -> list[ChainEvent]:
    """All of the contract's events, held to its rules."""
    decoder = EventDecoder(ContractAbi.from_json(load_artifact().abi), identity.contract)
    with tempfile.TemporaryDirectory(prefix="vgroup-proof-") as folder:
        path = Path(folder) / "events.sqlite3"
        replica = EventReplica(node, decoder, identity, path=path, first_block=from_block, times=ReplicaTimes())
        try:
            await replica.start()
            return await replica.fetch_events()
        finally:
            await replica.close()


def _find_anchor(proof: RecordProof, events: Sequence[ChainEvent]) -> Anchored:
    anchor = proof.anchor
    for event in first_anchors(event for event in events if isinstance(event, Anchored)):
        if (event.gid, event.root, event.from_record, event.to_record) != (
            proof.gid,
            anchor.root,
            anchor.from_record,
            anchor.to_record,
        ):
            continue
        if (event.at.transaction_hash, event.at.block_number) != (anchor.transaction_hash, anchor.block_number):
            raise VerificationError(
                f"the anchor stands in block {event.at.block_number}, not where the proof says it does"
            )
        return event
    raise VerificationError("the group's master never anchored this root for these records")


def _find_signer(proof: RecordProof, events: Sequence[ChainEvent]) -> Address:
    """The device's address in the record's epoch, by Associated and Rotated."""
    record, address = proof.record, None
    for event in events:
        if isinstance(event, Associated) and (event.gid, event.oid) == (proof.gid, record.sender):
            address = event.account
        elif isinstance(event, Rotated | Revoked) and event.oid == record.sender and event.epoch <= record.epoch:
            if isinstance(event, Revoked):
                raise VerificationError(f"the device was revoked in epoch {event.epoch}, before it said this")
            address = event.new_address
    if address is None:
        raise VerificationError("the device never was a member of the group")
    return address


@asynccontextmanager
async def _open_node(chain: str, chain_id: int) -> AsyncIterator[ChainNode]:
    if urlsplit(chain).scheme in ("http", "https"):
        provider = NodeProvider(
            chain, {"timeout": ClientTimeout(total=_REQUEST_TIMEOUT_S)}, exception_retry_configuration=None
        )
        try:
            yield ChainNode(AsyncWeb3(provider), request_timeout_s=_REQUEST_TIMEOUT_S)
        finally:
            await provider.disconnect()
        return
    with tempfile.TemporaryDirectory(prefix="vgroup-proof-") as folder:
        await asyncio.to_thread(_copy_chain, Path(chain), Path(folder))
        embedded = await asyncio.to_thread(
            open_embedded_chain,
            Path(folder),
            chain_id=chain_id,
            now_unix_s=lambda: int(time.time()),
            relayer_key=_NO_RELAYER,
        )
        try:
            yield ChainNode(AsyncWeb3(embedded.provider), request_timeout_s=_REQUEST_TIMEOUT_S)
        finally:
            await asyncio.to_thread(embedded.close)


def _copy_chain(named: Path, folder: Path) -> None:
    """The chain as it is now, without a lock and without a change to it (SQLite's online backup)."""
    named = named.expanduser()
    places = [named, named / EMBEDDED_DIRECTORY, named / GATEWAY_FOLDER / EMBEDDED_DIRECTORY]
    source = next((place / CHAIN_FILE for place in places if (place / CHAIN_FILE).is_file()), None)
    if source is None:
        raise ConfigurationError(
            f"{named} is neither a URL nor the folder of an embedded chain",
            remedy="Give the URL of a node's JSON-RPC, or the master's data folder (a copy of it will do).",
            code=ErrorCode.ARGUMENT_WRONG,
        )
    copy = folder / CHAIN_FILE
    try:
        with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as original, sqlite3.connect(copy) as target:
            original.backup(target)
    except sqlite3.Error as exc:
        raise ConfigurationError(
            f"{source} cannot be read: {exc}",
            remedy="Copy the folder and name the copy.",
            code=ErrorCode.ARGUMENT_WRONG,
        ) from exc
    copy.chmod(0o600)
