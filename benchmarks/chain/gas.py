"""Gas of every act of the contract, as receipts say it."""

import tempfile
import time
from pathlib import Path

from benchmarks.chain.sites import Site
from chain_gateway import GatewayConfig, deploy, open_registry
from group_protocol.limits import ASSOCIATION_BATCH_MAX
from tests.registry_suite.backends import Stage, set_stage
from tests.registry_suite.signers import oid_of


async def measure_gas(site: Site) -> dict[str, float]:
    """Gas by act; for a batch, for each of its associations."""
    with tempfile.TemporaryDirectory(prefix="vgroup-") as folder:
        key = site.relayer_keys[0] if site.relayer_keys else None
        config = GatewayConfig(Path(folder), url=site.url, relayer_key_file=key)
        _, deployment_gas = await deploy(config, time.time)
        async with open_registry(config, time.time) as registry:
            return {"deployment": deployment_gas, **await _acts(await set_stage(registry))}


async def _acts(stage: Stage) -> dict[str, float]:
    registry, sign = stage.registry, stage.sign
    gas: dict[str, float] = {}
    gas["create group"] = (await registry.create_group(sign.create_group("master"))).gas
    gid = sign.gid_of("master")
    await registry.associate(sign.associate("first", gid, master="master"))
    gas["associate"] = (await registry.associate(sign.associate("slave", gid, master="master"))).gas
    for size in (10, 50, ASSOCIATION_BATCH_MAX):
        names = [f"{size} {at}" for at in range(size)]
        receipts = await registry.associate_batch([sign.associate(name, gid, master="master") for name in names])
        gas[f"associate, {size} together"] = receipts[0].gas / size
    slave, master = oid_of("slave"), oid_of("master")
    proof = sign.exchange(gid, slave, master, signer="slave", seq=1)
    gas["record exchange, first"] = (await registry.record_exchange(proof)).gas
    proof = sign.exchange(gid, slave, master, signer="slave", seq=2)
    gas["record exchange"] = (await registry.record_exchange(proof)).gas
    gas["anchor"] = (await registry.anchor(sign.anchor(gid, signer="master"))).gas
    gas["rotate"] = (await registry.rotate(sign.rotate(gid, slave, old="slave", new="slave-2"))).gas
    gas["revoke"] = (await registry.revoke(sign.revoke(gid, slave, signer="master"))).gas
    gas["rotate master"] = (await registry.rotate_master(sign.rotate_master(gid, old="master", new="master-2"))).gas
    return gas
