"""The contract itself, without any master in between: the same attacks there, and what it says of the stored records.

The demo opens the chain when the master has let go of it: the embedded one belongs to one process at a time.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from sqlalchemy import Connection as StoreConnection

from chain_gateway.composition import follow_contract, known_deployment, open_connection
from chain_gateway.node import ChainNode
from chain_gateway.registry import Web3Registry
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import ContractRefusal, Reason
from group_protocol.identifiers import GroupId, ObjectId, Token
from group_protocol.membership import ObjectState
from group_protocol.ports import AssociationRequest, ExchangeProof
from group_protocol.typed_data import TypedDataDomain
from master_api.composition import gateway_config
from master_api.config_sources import load_config
from master_api.store.records import RecordRow, iterate_records
from master_api.store.store import Store
from vgroup.demo.assault import show, steal
from vgroup.demo.attacker import flip_bit
from vgroup.demo.errors import DemoFailed
from vgroup.demo.stage import Stage
from vgroup.demo.summary import Attack, GasUse

_FOREIGN_GROUP = GroupId(b"no group of hers")
_LIFETIME_S = 600


@dataclass(frozen=True, slots=True)
class Transactions:
    """Hashes of the group's and the associations' transactions, 0x and hex, as the master told them."""

    group: str
    associations: tuple[str, ...]


async def fetch_transactions(stage: Stage) -> Transactions:
    """Ask the master, while it runs."""
    group, devices = await stage.master.ask("group.show"), await stage.master.fetch_devices()
    return Transactions(group["transaction"], tuple(devices[slave.oid]["transaction"] for slave in stage.slaves))


async def question_contract(stage: Stage, attacker_key: PrivateKey, transactions: Transactions) -> None:
    """Open the chain, attack the contract, have it judge stored records, and count the gas."""
    stage.screen.heading("At the contract itself, with no master in between")
    stage.screen.doing("opening the chain")
    config = load_config(stage.master.folder, stage.crew.environment)
    gateway = gateway_config(config)
    deployment = known_deployment(gateway)
    if deployment is None:
        raise DemoFailed("the record of the deployment is gone")
    async with (
        open_connection(gateway, time.time) as connection,
        follow_contract(gateway, connection, deployment) as registry,
    ):
        before = (await connection.node.fetch_head()).number
        await _attack(stage, registry, attacker_key)
        await _judge_records(stage, registry, config.resolved_store_url)
        await _count_gas(stage, connection.node, transactions)
        head = (await connection.node.fetch_head()).number
        stage.summary.blocks = head
        await _check_members(stage, registry, is_unchanged=head == before or gateway.url is not None)


async def _attack(stage: Stage, registry: Web3Registry, attacker_key: PrivateKey) -> None:
    domain = TypedDataDomain(await registry.fetch_identity())
    gid = GroupId(bytes.fromhex(stage.summary.gid))
    token = (await steal(stage.slaves[0])).token
    deadline_unix_s = await registry.fetch_block_time() + _LIFETIME_S

    def wish(key: PrivateKey, gid: GroupId, token: Token) -> AssociationRequest:
        digest = domain.association_digest(gid, token, deadline_unix_s)
        return AssociationRequest(gid, token, key.sign_digest(digest), deadline_unix_s)

    stolen = registry.associate(wish(attacker_key, gid, token))
    show(stage, await _refused("stolen token", "associate() with a slave's token", stolen, Reason.TOKEN_REFUSED))
    foreign = registry.associate(wish(attacker_key, _FOREIGN_GROUP, token))
    show(stage, await _refused("unknown group", "associate() into another group", foreign, Reason.UNKNOWN_GROUP))
    revoked = next(slave for slave in stage.slaves if slave.is_revoked)
    own = await steal(revoked)
    again = registry.associate(wish(own.key, gid, own.token))
    attempt = f"associate() by {revoked.name}, with its own key and token"
    show(stage, await _refused("revoked device, associated again", attempt, again, Reason.OBJECT_REVOKED))


async def _judge_records(stage: Stage, registry: Web3Registry, store_url: str) -> None:
    """Algorithm 3 on what the store holds: the newest record of each slave, and of one with one bit turned."""
    newest = await asyncio.to_thread(_newest_records, store_url)
    gid = GroupId(bytes.fromhex(stage.summary.gid))
    for slave in stage.slaves:
        record = newest.get(slave.oid)
        if record is None or record.signature is None:
            raise DemoFailed(f"no signed record of {slave.name} is stored")
        proof = ExchangeProof(
            gid, record.oid, record.receiver, record.payload_hash, record.seq, record.epoch, record.signature
        )
        attempt = f"verifyExchange() on {slave.name}'s stored record {record.seq}"
        if slave.is_revoked:
            verdict = registry.verify_exchange(proof)
            show(stage, await _refused("record of a revoked device", attempt, verdict, Reason.OBJECT_REVOKED))
            continue
        await _accept(stage, registry, proof, slave.name)
        if slave is stage.slaves[0]:
            forged = registry.verify_exchange(replace(proof, payload_hash=flip_bit(proof.payload_hash, at=0)))
            attempt = "verifyExchange() on the same record, one bit of its hash turned"
            show(stage, await _refused("flipped bit in a record", attempt, forged, Reason.BAD_SIGNATURE))


async def _accept(stage: Stage, registry: Web3Registry, proof: ExchangeProof, name: str) -> None:
    try:
        await registry.verify_exchange(proof)
    except ContractRefusal as refusal:
        verdict = f"record {proof.seq} is refused: {refusal.reason.name}"
        stage.check(f"the contract accepts {name}'s newest record", holds=False, detail=verdict)
    else:
        verdict = f"record {proof.seq} of epoch {proof.epoch} passes Algorithm 3"
        stage.check(f"the contract accepts {name}'s newest record", holds=True, detail=verdict)


async def _refused(name: str, attempt: str, act: Awaitable[object], expected: Reason) -> Attack:
    try:
        await act
    except ContractRefusal as refusal:
        answer = f"the contract reverts: {refusal.reason.name}"
        return Attack(f"{name}, at the contract", attempt, answer, refusal.reason is expected)
    return Attack(f"{name}, at the contract", attempt, "the contract accepts it", is_refused=False)


async def _count_gas(stage: Stage, node: ChainNode, transactions: Transactions) -> None:
    async def gas_of(transaction: str) -> int:
        receipt = await node.fetch_receipt(bytes.fromhex(transaction.removeprefix("0x")))
        if receipt is None:
            raise DemoFailed(f"the chain has no receipt of {transaction}")
        return receipt.gas_used

    # Associations that arrived together share a transaction: each has its part of it.
    shared_by = Counter(transactions.associations)
    associations = [await gas_of(one) // shared_by[one] for one in transactions.associations]
    stage.summary.gas = GasUse(
        stage.gas["deployment"], await gas_of(transactions.group), tuple(associations), stage.gas["revocation"]
    )


async def _check_members(stage: Stage, registry: Web3Registry, *, is_unchanged: bool) -> None:
    gid = GroupId(bytes.fromhex(stage.summary.gid))
    states = {}
    for slave in stage.slaves:
        view = await registry.fetch_object(gid, ObjectId(bytes.fromhex(slave.oid)))
        states[slave.name] = ObjectState.NONE if view is None else view.state
    expected = {slave.name: ObjectState.REVOKED if slave.is_revoked else ObjectState.SLAVE for slave in stage.slaves}
    members = [view for view in registry.membership().members(gid) if view.state is not ObjectState.MASTER]
    stage.check(
        "the contract holds these slaves and nobody else",
        holds=states == expected and len(members) == len(expected) and is_unchanged,
        detail=f"{list(states.values()).count(ObjectState.SLAVE)} active,"
        f" {list(states.values()).count(ObjectState.REVOKED)} revoked, in {stage.summary.blocks} blocks",
    )


def _newest_records(store_url: str) -> dict[str, RecordRow]:
    def read(connection: StoreConnection) -> dict[str, RecordRow]:
        return {record.oid.hex(): record for record in iterate_records(connection)}

    store = Store(store_url, may_create=False)
    try:
        return store.read_now(read)
    finally:
        store.close()
