"""A remote gateway that lies to the masters that use it, and strangers who would use a gateway."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chain_gateway import GatewayConfig, ReplicaTimes, open_registry
from chain_gateway.node_answers import RawLog
from chain_gateway.remote.client import Credentials
from chain_gateway.remote.registry import RemoteRegistry
from chain_gateway.remote.wire import encode_log, encode_receipt
from group_protocol.encoding import b64encode
from group_protocol.errors import ContractRefusal, Reason, RegistryInconsistent, RegistryUnavailable
from group_protocol.identifiers import GroupId
from group_protocol.membership import Associated, ChainPosition, ObjectState
from group_protocol.messages import REFUSAL_BODY
from group_protocol.ports import Receipt
from tests.attacks.lying_gateway import LyingGateway, Recorded, lying_gateway
from tests.registry_suite.backends import Stage, set_stage
from tests.registry_suite.signers import address_of, oid_of
from tests.support.anvil import run_anvil, write_key
from tests.support.contract_logs import make_log
from tests.support.fake_chain import FakeChain
from tests.support.fake_registry import FakeRegistry
from tests.support.gateway_service import STRANGER, TOKEN, TestBackend, reach, remote_config, serve_registry

pytestmark = [pytest.mark.anvil, pytest.mark.network, pytest.mark.processes]

NOW_UNIX_S = 1_800_000_000
IMPATIENT = ReplicaTimes(poll_interval_s=0.1, longest_backoff_s=0.2, catch_up_timeout_s=1.5)


@dataclass
class Ward:
    """A master's group on a true chain, seen through a gateway that may lie.

    Attributes:
        believing: Holds the gateway against itself.
        comparing: Holds it against a second node too.
    """

    true: Stage
    gid: GroupId
    gateway: LyingGateway
    believing: RemoteRegistry
    comparing: RemoteRegistry

    async def join(self, name: str) -> None:
        await self.true.registry.associate(self.true.sign.associate(name, self.gid, master="master"))

    async def until_known(self, name: str, state: ObjectState = ObjectState.SLAVE) -> None:
        """Both registries have seen it."""
        async with asyncio.timeout(10):
            for registry in (self.believing, self.comparing):
                while not _is_in_state(registry, name, state):  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(0.05)


def _is_in_state(registry: RemoteRegistry, name: str, state: ObjectState) -> bool:
    view = registry.membership().objects.get(oid_of(name))
    return view is not None and view.state is state


@pytest.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Ward]:
    async with AsyncExitStack() as stack:
        url = stack.enter_context(run_anvil())
        config = GatewayConfig(tmp_path / "chain", url=url, relayer_key_file=write_key(tmp_path / "relayer.key"))
        registry = await stack.enter_async_context(open_registry(config, time.time, deploy_if_missing=True))
        true = await set_stage(registry)
        await registry.create_group(true.sign.create_group("master"))
        backend = TestBackend(registry, registry.node, registry.first_block)
        service = await stack.enter_async_context(serve_registry(tmp_path / "service", backend))
        gateway = await stack.enter_async_context(lying_gateway(service))
        believing = await stack.enter_async_context(reach(tmp_path / "1", gateway.url, replica=IMPATIENT))
        comparing = await stack.enter_async_context(
            reach(tmp_path / "2", gateway.url, replica=IMPATIENT, verify_rpc=url)
        )
        yield Ward(true, true.sign.gid_of("master"), gateway, believing, comparing)


def forged(gid: GroupId, name: str, at: ChainPosition) -> dict[str, Any]:
    """A receipt that says: this device is a member."""
    return {"receipt": encode_receipt(Receipt(Associated(gid, oid_of(name), address_of(name), at), 58_301))}


def forged_log(gid: GroupId, name: str, like: dict[str, Any]) -> dict[str, Any]:
    """An Associated that no device signed, in a block that is there."""
    log: RawLog = make_log("Associated", gid=gid, oid=oid_of(name), account=address_of(name))
    return encode_log(log) | {
        "block_number": like["number"],
        "block_hash": like["block_hash"],
        "log_index": 99,
    }


async def newest(ward: Ward) -> ChainPosition:
    head = await ward.true.registry.node.fetch_head()  # type: ignore[attr-defined]
    return ChainPosition(head.number, 0, head.block_hash, b"\x07" * 32)


@pytest.mark.parametrize("above", [0, 1_000_000], ids=["in a block that is there", "in a block that is not"])
async def test_receipt_that_a_gateway_invents_makes_nobody_a_member(ward: Ward, above: int) -> None:
    at = await newest(ward)
    at = replace(at, block_number=at.block_number + above)
    ward.gateway.swallowed["/v1/acts/associate"] = forged(ward.gid, "device", at)
    request = ward.true.sign.associate("device", ward.gid, master="master")
    for registry in (ward.believing, ward.comparing):
        with pytest.raises(RegistryUnavailable if above else RegistryInconsistent):
            await registry.associate(request)
        assert oid_of("device") not in registry.membership().objects


async def test_receipt_of_another_device_makes_nobody_a_member(ward: Ward) -> None:
    await ward.join("other")
    await ward.until_known("other")
    ward.gateway.swallowed["/v1/acts/associate"] = forged(ward.gid, "other", await newest(ward))
    for registry in (ward.believing, ward.comparing):
        with pytest.raises(RegistryInconsistent, match="does not hold"):
            await registry.associate(ward.true.sign.associate("device", ward.gid, master="master"))
        assert oid_of("device") not in registry.membership().objects


async def test_receipt_with_another_gas_than_the_second_node_has_is_noticed(ward: Ward) -> None:
    def cheaper(told: dict[str, Any]) -> dict[str, Any]:
        return {"receipt": told["receipt"] | {"gas": 1}}

    ward.gateway.lies["/v1/acts/associate"] = cheaper
    with pytest.raises(RegistryInconsistent, match="second node"):
        await ward.comparing.associate(ward.true.sign.associate("device", ward.gid, master="master"))


async def test_act_that_a_gateway_swallows_admits_nobody_and_is_no_success(ward: Ward) -> None:
    ward.gateway.swallowed["/v1/acts/"] = {"receipt": None}
    for registry in (ward.believing, ward.comparing):
        with pytest.raises(RegistryUnavailable):
            await registry.associate(ward.true.sign.associate("device", ward.gid, master="master"))
        with pytest.raises(RegistryUnavailable):
            await registry.revoke(ward.true.sign.revoke(ward.gid, oid_of("device"), signer="master"))
        assert oid_of("device") not in registry.membership().objects


async def test_old_state_that_a_gateway_replays_takes_no_revocation_back(ward: Ward) -> None:
    await ward.join("device")
    await ward.until_known("device")
    old = {"block": await _head_of(ward)}
    await ward.true.registry.revoke(ward.true.sign.revoke(ward.gid, oid_of("device"), signer="master"))
    await ward.until_known("device", ObjectState.REVOKED)
    ward.gateway.lies["/v1/head"] = lambda _: old
    ward.gateway.lies["/v1/blocks/"] = lambda told: (
        told if told["block"] and told["block"]["number"] <= old["block"]["number"] else {"block": None}
    )
    ward.gateway.lies["/v1/logs"] = lambda told: {
        "logs": [log for log in told["logs"] if log["block_number"] <= old["block"]["number"]]
    }
    await asyncio.sleep(1.0)
    for registry in (ward.believing, ward.comparing):
        assert _is_in_state(registry, "device", ObjectState.REVOKED)


async def _head_of(ward: Ward) -> dict[str, Any]:
    head = await ward.true.registry.node.fetch_head()  # type: ignore[attr-defined]
    return {
        "number": head.number,
        "block_hash": b64encode(head.block_hash),
        "parent_hash": b64encode(head.parent_hash),
        "timestamp_unix_s": head.timestamp_unix_s,
        "base_fee_wei": head.base_fee_wei,
        "gas_limit": head.gas_limit,
    }


async def test_event_that_a_gateway_invents_is_noticed_with_a_second_node(ward: Ward) -> None:
    def invent(told: dict[str, Any]) -> dict[str, Any]:
        return {"logs": [*told["logs"], forged_log(ward.gid, "nobody", seen[-1])]}

    seen = [await _head_of(ward)]
    ward.gateway.lies["/v1/logs"] = invent
    await ward.join("device")
    seen.append(await _head_of(ward))
    await until_lost(ward.comparing)
    assert oid_of("nobody") not in (await _last_membership(ward.comparing))


async def test_revocation_that_a_gateway_hides_is_noticed_with_a_second_node(ward: Ward) -> None:
    await ward.join("device")
    await ward.until_known("device")
    ward.gateway.lies["/v1/logs"] = lambda _: {"logs": []}
    await ward.true.registry.revoke(ward.true.sign.revoke(ward.gid, oid_of("device"), signer="master"))
    await until_lost(ward.comparing)


async def test_events_of_a_gateway_that_contradict_each_other_stop_it_and_change_nothing(ward: Ward) -> None:
    await ward.join("device")
    await ward.until_known("device")
    before = ward.believing.membership()

    def twice(told: dict[str, Any]) -> dict[str, Any]:
        return {"logs": [log | {"log_index": index} for index, log in enumerate(told["logs"] * 2)]}

    ward.gateway.lies["/v1/logs"] = twice
    await ward.true.registry.revoke(ward.true.sign.revoke(ward.gid, oid_of("device"), signer="master"))
    await until_lost(ward.believing)
    assert before.is_active_member(ward.gid, oid_of("device"))


async def until_lost(registry: RemoteRegistry) -> None:
    """Nobody is taken for a member on this gateway's word any more."""
    async with asyncio.timeout(10):
        while True:
            try:
                registry.membership()
            except RegistryInconsistent:
                return
            await asyncio.sleep(0.05)


async def _last_membership(registry: RemoteRegistry) -> set[bytes]:
    return set(registry._replica._counted.shown.objects)


async def test_gateway_of_another_contract_or_chain_is_refused(ward: Ward, tmp_path: Path) -> None:
    other = {"contract": b64encode(b"\x09" * 20)}, {"chain_id": 1}
    for change in other:
        ward.gateway.lies["/v1/identity"] = lambda told, change=change: told | {"identity": told["identity"] | change}  # type: ignore[misc]
        with pytest.raises(RegistryInconsistent, match="contract"):
            await ward.believing.fetch_identity()
        with pytest.raises(RegistryInconsistent, match="not the one of this master"):
            async with reach(tmp_path / "1", ward.gateway.url):
                pass


async def test_gateway_can_change_nothing_in_what_is_signed_for_the_contract(ward: Ward) -> None:
    request = ward.true.sign.associate("device", ward.gid, master="master")
    with pytest.raises(ContractRefusal) as caught:
        await ward.true.registry.associate(replace(request, deadline_unix_s=request.deadline_unix_s + 1))
    assert caught.value.reason is Reason.TOKEN_REFUSED
    thief = replace(ward.true.sign.associate("thief", ward.gid, master="master"), token=request.token)
    with pytest.raises(ContractRefusal):
        await ward.true.registry.associate(thief)


@dataclass
class Desk:
    """A gateway's service, its register, and one who listens on the way to it."""

    registry: FakeRegistry
    stage: Stage
    listener: LyingGateway
    folder: Path


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    registry = FakeRegistry(now_unix_s=lambda: NOW_UNIX_S)
    backend = TestBackend(registry, FakeChain(registry))
    async with (
        serve_registry(tmp_path / "service", backend, token=TOKEN) as url,
        lying_gateway(url) as listener,
    ):
        yield Desk(registry, await set_stage(registry), listener, tmp_path)
    registry.close()


async def assert_refused(desk: Desk, asked: Recorded) -> None:
    before = desk.registry.block_number
    url = desk.listener.target + asked.path
    async with (
        aiohttp.ClientSession() as http,
        http.request(asked.method, url, headers=asked.headers, data=asked.body or None) as answer,
    ):
        assert (answer.status, await answer.read()) == (400, REFUSAL_BODY)
    assert desk.registry.block_number == before


async def make_group(desk: Desk) -> Recorded:
    """The signed request of an honest master, as it went by."""
    async with reach(desk.folder / "m", desk.listener.url) as remote:
        await remote.create_group(desk.stage.sign.create_group("master"))
    return next(each for each in desk.listener.recorded if each.path == "/v1/acts/create_group")


async def test_recorded_request_to_a_gateway_is_refused_when_it_is_sent_again(desk: Desk) -> None:
    asked = await make_group(desk)
    await assert_refused(desk, asked)
    for other in desk.listener.recorded:
        if other.headers.get("Vgroup-Number"):
            await assert_refused(desk, other)


async def test_recorded_request_to_a_gateway_is_refused_after_its_restart(desk: Desk) -> None:
    asked = await make_group(desk)
    backend = TestBackend(desk.registry, FakeChain(desk.registry))
    async with serve_registry(desk.folder / "service", backend) as url:
        desk.listener.target = url
        await assert_refused(desk, asked)


async def test_signed_request_to_a_gateway_is_good_for_nothing_else(desk: Desk) -> None:
    async with reach(desk.folder / "m", desk.listener.url) as remote:
        desk.listener.swallowed["/v1/acts/"] = {"receipt": None}
        with pytest.raises(RegistryUnavailable):
            await remote.create_group(desk.stage.sign.create_group("master"))
    asked = next(each for each in desk.listener.recorded if each.path == "/v1/acts/create_group")
    number = {"Vgroup-Number": str(int(asked.headers["Vgroup-Number"]) + 1)}
    for changed in (
        replace(asked, path="/v1/acts/revoke"),
        replace(asked, path=asked.path + "?x=1"),
        replace(asked, body=asked.body + b" "),
        replace(asked, headers=asked.headers | number),
    ):
        await assert_refused(desk, changed)
    assert (await desk.listener.send(asked))[0] == 200, "as it was, it would have been good once"


async def test_stranger_at_a_gateway_gets_the_one_refusal_whatever_it_asks(desk: Desk) -> None:
    with pytest.raises(RegistryUnavailable, match="refused"):
        async with reach(desk.folder / "s", desk.listener.url, credentials=Credentials(STRANGER)):
            pass
    with pytest.raises(RegistryUnavailable, match="refused"):
        async with reach(desk.folder / "s", desk.listener.url, credentials=Credentials(token=TOKEN + "x")):
            pass
    for path in ("/v1/head", "/v1/identity", "/v1/acts/revoke", "/", "/v1/nothing", "/admin", "/v1/groups/AA"):
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Basic eA=="}, {"Vgroup-Number": "1"}):
            for method in ("GET", "POST", "DELETE"):
                await assert_refused(desk, Recorded(method, path, dict(headers), b""))


async def test_bearer_of_the_token_may_ask(desk: Desk) -> None:
    async with reach(desk.folder / "t", desk.listener.url, credentials=Credentials(token=TOKEN)) as remote:
        receipt = await remote.create_group(desk.stage.sign.create_group("master"))
    assert receipt.event.gid in desk.registry.membership().groups


async def test_body_beyond_the_bound_of_a_gateway_is_refused_before_it_is_held(desk: Desk) -> None:
    await assert_refused(desk, Recorded("POST", "/v1/session", {"Content-Type": "application/json"}, b"x" * 300_000))


async def test_caller_that_floods_a_gateway_is_told_to_wait_and_others_are_served(tmp_path: Path) -> None:
    registry = FakeRegistry(now_unix_s=lambda: NOW_UNIX_S)
    backend = TestBackend(registry, FakeChain(registry))
    rates: dict[str, Any] = {"requests_per_caller_per_s": 0.001, "requests_per_caller_burst": 30}
    async with serve_registry(tmp_path / "service", backend, token=TOKEN, **rates) as url:
        async with reach(tmp_path / "m", url) as greedy:
            asked = [greedy.fetch_block_time() for _ in range(40)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            refused = [each for each in answers if isinstance(each, RegistryUnavailable)]
            assert len(refused) >= 10
            assert all("busy" in str(each) for each in refused)
        async with reach(tmp_path / "t", url, credentials=Credentials(token=TOKEN)) as modest:
            await modest.fetch_block_time()
    registry.close()


def test_configuration_of_a_remote_gateway_does_not_print_its_secrets(tmp_path: Path) -> None:
    shown = repr(remote_config(tmp_path, "http://127.0.0.1:1", credentials=Credentials(STRANGER, TOKEN)))
    assert TOKEN not in shown
    assert STRANGER.secret.hex() not in shown
