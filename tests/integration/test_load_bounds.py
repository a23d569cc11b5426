"""Load on a master process: what it holds stays bounded, honest devices join again afterwards. No times asserted."""

import pytest

from benchmarks.core_join import CoreSlave
from benchmarks.http_joins import join_over
from benchmarks.joins import new_key
from benchmarks.load import attacks
from benchmarks.load.attacks import Plan
from benchmarks.load.master_control import RunningMaster, master_process
from benchmarks.load.wire import HOST
from group_protocol.suites import Suite
from group_protocol.tickets import MembershipState
from slave_client.transport import Transport

pytestmark = [pytest.mark.network, pytest.mark.processes]

GROWTH_MAX_MIB = 48.0
"""Far above what any table of the master may hold, far below what an unbounded one would."""
SETTINGS = {"half_open_max": 96, "half_open_per_address_max": 16, "cookie_threshold": 48}
NO_END_S = 60.0


async def join_honestly(master: RunningMaster, code: bytes) -> MembershipState:
    slave = CoreSlave(Suite.H1, new_key(), code)
    async with Transport(HOST, master.port) as transport:
        await join_over(transport, slave)
    return slave.state


async def test_half_open_handshakes_stay_within_their_table_and_memory() -> None:
    async with master_process(SETTINGS) as master:
        codes = await master.make_codes(3)
        assert await join_honestly(master, codes[0]) is MembershipState.ACTIVE
        before_mib = master.rss_mib
        # Cookies come from the threshold on, so those who do not return them hold no more than that.
        flood = await attacks.half_open(Plan(master.port, 8, 1_000, 0, NO_END_S), returns_cookie=False)
        assert flood["M2"] == (await master.fetch_state())["half_open"] == SETTINGS["cookie_threshold"]
        assert flood["cookie"] > 0
        # And an honest device, which returns its own, joins beside them.
        assert await join_honestly(master, codes[1]) is MembershipState.ACTIVE
        flood = await attacks.half_open(Plan(master.port, 40, 400, 0, NO_END_S), returns_cookie=True)
        assert (await master.fetch_state())["half_open"] == SETTINGS["half_open_max"]
        assert flood["M2 after cookie"] > SETTINGS["half_open_max"]
        assert await join_honestly(master, codes[2]) is MembershipState.ACTIVE
        assert master.rss_mib - before_mib < GROWTH_MAX_MIB


async def test_one_address_holds_no_more_half_open_handshakes_than_its_share() -> None:
    async with master_process(SETTINGS) as master:
        flood = await attacks.half_open(Plan(master.port, 1, 500, 0, NO_END_S), returns_cookie=True)
        assert (await master.fetch_state())["half_open"] == SETTINGS["half_open_per_address_max"]
        assert flood["M2"] == SETTINGS["half_open_per_address_max"]
        (code,) = await master.make_codes(1)
        assert await join_honestly(master, code) is MembershipState.ACTIVE


async def test_wrong_proofs_leave_nothing_behind() -> None:
    async with master_process() as master:
        codes = await master.make_codes(2)
        assert await join_honestly(master, codes[0]) is MembershipState.ACTIVE
        before_mib = master.rss_mib
        flood = await attacks.wrong_proofs(Plan(master.port, 4, 400, 0, NO_END_S))
        assert set(flood) == {"M3 400", "milliseconds"}
        state = await master.fetch_state()
        assert (state["half_open"], state["live"]) == (0, 1)
        assert master.rss_mib - before_mib < GROWTH_MAX_MIB
        assert await join_honestly(master, codes[1]) is MembershipState.ACTIVE


async def test_device_that_calls_once_is_served_while_loud_addresses_have_used_up_their_rate() -> None:
    rates = {"handshakes_per_s": 2, "handshakes_burst": 200}
    async with master_process(rates) as master:
        (code,) = await master.make_codes(1)
        flood = await attacks.wrong_proofs(Plan(master.port, 4, 400, 0, NO_END_S))
        assert flood["M1 429"] > 0
        # Four addresses could take what all share and, until they were loud, ten handshakes each of what is kept.
        assert flood["M3 400"] <= (100 + 4 * 11) / 2 + 40
        assert await join_honestly(master, code) is MembershipState.ACTIVE


async def test_nested_json_and_huge_lengths_in_cbor_cost_no_memory() -> None:
    async with master_process() as master:
        codes = await master.make_codes(3)
        assert await join_honestly(master, codes[0]) is MembershipState.ACTIVE
        before_mib = master.rss_mib
        nested = await attacks.nested_json(Plan(master.port, 4, 800, 0, NO_END_S))
        assert set(nested) == {"400", "milliseconds"}
        hostile = await attacks.hostile_cbor(Plan(master.port, 1, 200, 0, NO_END_S), codes[1])
        assert set(hostile) == {"MALFORMED", "milliseconds"}
        assert master.rss_mib - before_mib < GROWTH_MAX_MIB
        assert await join_honestly(master, codes[2]) is MembershipState.ACTIVE
