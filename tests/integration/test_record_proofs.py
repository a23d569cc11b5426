"""A third party checks a proof with nothing but a real chain: the embedded one in its folder, and a node by URL."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain_gateway import GatewayConfig, open_registry
from chain_gateway.config import GATEWAY_FOLDER
from chain_gateway.proof_check import check_proof
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import (
    ConfigurationError,
    RegistryInconsistent,
    RegistryUnavailable,
    VerificationError,
    VirtualGroupError,
)
from group_protocol.exit_codes import ExitCode
from group_protocol.identifiers import Address
from group_protocol.ports import RotationRequest
from group_protocol.record_proofs import RecordProof, parse_record_proof
from group_protocol.records import CheckpointedRecord
from master_api.store.rotations import RotationRow, keep_rotation
from tests.support.anvil import run_anvil, write_key
from tests.support.running_master import MASTER_KEY, Bench, Device, payload, running_master
from vgroup.application import run as vgroup

pytestmark = [pytest.mark.network, pytest.mark.processes]


@dataclass(frozen=True)
class Chain:
    """Where a proof is checked, and how the master gets at it."""

    where: str
    config: GatewayConfig


@pytest.fixture(params=["embedded", pytest.param("anvil", marks=pytest.mark.anvil)])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    folder = tmp_path / GATEWAY_FOLDER
    if request.param == "embedded":
        yield Chain(str(tmp_path), GatewayConfig(folder))
        return
    with run_anvil() as url:
        key_file = write_key(tmp_path / "relayer.key")
        yield Chain(url, GatewayConfig(folder, url=url, relayer_key_file=key_file))


@asynccontextmanager
async def ward(folder: Path, chain: Chain) -> AsyncIterator[tuple[Bench, Device]]:
    """A master on a real chain, with a device whose records 1 (signed) and 2–4 (checkpointed) are anchored."""
    async with open_registry(chain.config, time.time, deploy_if_missing=True) as registry:
        real: Any = registry
        async with running_master(folder, registry=real) as bench:
            device = await bench.joined_device(1)
            covered = [
                CheckpointedRecord(device.ticket.master_oid, seq, device.ticket.epoch, payload(float(seq)))
                for seq in (2, 3, 4)
            ]
            ack = await device.send(device.record(), *covered, device.checkpoint(*covered))
            assert (ack.last_seq, ack.evidence_seq) == (4, 4)
            device.seq = 4
            await bench.operations.anchor_records()
            yield bench, device


async def prove(bench: Bench, record: str) -> RecordProof:
    return parse_record_proof(json.dumps(await bench.operations.prove_record(record)).encode())


async def test_proof_holds_on_the_chain_while_the_master_runs_on(tmp_path: Path, chain: Chain) -> None:
    async with ward(tmp_path, chain) as (bench, device):
        for record in ("1", "3", f"{device.oid.hex()}/4"):
            proof = await prove(bench, record)
            checked = await check_proof(proof, chain.where, contract=proof.contract)
            assert checked.signer == device.key.address
            assert checked.master == MASTER_KEY.address
            assert abs(checked.anchored_at_unix_s - time.time()) < 600
        report = await bench.operations.verify_records()
        assert report["is_good"]
        assert report["anchors"] == {
            "anchors": 1,
            "anchored": 4,
            "unanchored": 0,
            "is_good": True,
            "findings": [],
        }


async def test_record_is_held_to_the_key_of_its_epoch(tmp_path: Path, chain: Chain) -> None:
    async with ward(tmp_path, chain) as (bench, device):
        old, new = device.key, PrivateKey.from_secret(b"\x09" * 32)
        deadline = await bench.registry.fetch_block_time() + 600
        digest = device.domain.rotation_digest(device.gid, device.oid, new.address, deadline)
        by_old, by_new = old.sign_digest(digest), new.sign_digest(digest)
        row = RotationRow(device.oid, new.address, old.address, deadline, by_old, by_new)
        await bench.store.write(lambda connection: keep_rotation(connection, row))
        await bench.registry.rotate(RotationRequest(device.gid, device.oid, new.address, deadline, by_old, by_new))
        await bench.service.follower.wait_for_device(device.oid, lambda found: found.address == new.address)
        device.key = new
        await device.open_session()
        assert (await device.send(device.record())).last_seq == 5
        await bench.operations.anchor_records()
        signers = [
            (await check_proof(await prove(bench, str(number)), chain.where, contract=None)).signer for number in (1, 5)
        ]
        assert signers == [old.address, new.address]


async def test_proof_that_the_chain_does_not_bear_out_does_not_hold(tmp_path: Path, chain: Chain) -> None:
    async with ward(tmp_path, chain) as (bench, device):
        proof = await prove(bench, "1")
        forged = replace(
            proof.record, signature=device.record(seq=9).signature
        )  # a leaf of its own, and an anchor that nobody made
        leaf = forged.leaf(proof.gid)
        lies: list[tuple[RecordProof, dict[str, Any], type[VirtualGroupError]]] = [
            (replace(proof, payload=b"other"), {}, VerificationError),
            (
                replace(
                    proof,
                    record=forged,
                    index=0,
                    size=1,
                    path=(),
                    anchor=replace(proof.anchor, root=leaf),
                ),
                {},
                VerificationError,
            ),
            (replace(proof, anchor=replace(proof.anchor, block_number=1)), {}, VerificationError),
            (replace(proof, anchor=replace(proof.anchor, transaction_hash=b"t" * 32)), {}, VerificationError),
            (replace(proof, contract=Address(b"c" * 20)), {}, RegistryInconsistent),
            (proof, {"contract": Address(b"c" * 20)}, VerificationError),
        ]
        for lie, options, error in lies:
            with pytest.raises(error):
                await check_proof(lie, chain.where, **({"contract": None} | options))


async def test_chain_that_is_not_there_is_told(tmp_path: Path) -> None:
    chain = Chain(str(tmp_path), GatewayConfig(tmp_path / GATEWAY_FOLDER))
    async with ward(tmp_path, chain) as (bench, _):
        proof = await prove(bench, "1")
    with pytest.raises(ConfigurationError):
        await check_proof(proof, str(tmp_path / "nowhere"), contract=None)
    with pytest.raises(RegistryUnavailable):
        await check_proof(proof, "http://127.0.0.1:9", contract=None)


async def test_command_checks_a_proof_and_ends_with_status_1_if_it_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = Chain(str(tmp_path), GatewayConfig(tmp_path / GATEWAY_FOLDER))
    async with ward(tmp_path, chain) as (bench, device):
        fields = await bench.operations.prove_record("1")
        file = tmp_path / "proof.json"
        file.write_text(json.dumps(fields))
        words = ["records", "check-proof", str(file), "--chain", str(tmp_path)]
        assert await asyncio.to_thread(vgroup, [*words, "--json"]) == ExitCode.OK
        shown = json.loads(capsys.readouterr().out)
        assert (shown["is_good"], shown["device"], shown["seq"]) == (True, device.oid.hex(), 1)
        record: Any = fields["record"]
        record["seq"] = 2
        file.write_text(json.dumps(fields))
        assert await asyncio.to_thread(vgroup, words) == ExitCode.CHECK_FAILED
        assert "does not hold" in capsys.readouterr().err
        file.write_text("{}")
        assert await asyncio.to_thread(vgroup, words) == ExitCode.USAGE
