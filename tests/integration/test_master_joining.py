"""Joining a running master: key exchange, pairing, ticket, association."""

from pathlib import Path

import pytest

from group_protocol.errors import Reason
from group_protocol.suites import Suite
from group_protocol.tickets import MembershipState
from tests.support.running_master import running_master

pytestmark = pytest.mark.network


@pytest.mark.parametrize("suite", [Suite.H1, Suite.E1, Suite.R1])
async def test_device_with_pairing_code_joins_and_sends_in_every_suite(tmp_path: Path, suite: Suite) -> None:
    async with running_master(tmp_path, suites=tuple(Suite)) as bench:
        device = bench.device(5, code=await bench.make_code(), suite=suite)
        ticket = await device.open_session()
        assert ticket.state is MembershipState.NOT_ASSOCIATED
        result = await device.associate()
        assert (result.state, result.reason) == (MembershipState.ACTIVE, Reason.NONE)
        ack = await device.send(device.record(), device.record())
        assert (ack.last_seq, ack.evidence_seq, ack.reason) == (2, 2, Reason.NONE)
