"""A network whose nodes were made apart, each in a folder as on a machine of its own, and told of by their cards."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain_gateway.cli import app
from chain_gateway.network import ChainNetwork
from chain_gateway.network.ports import choose_ports
from chain_gateway.network.processes import STOP_TIMEOUT_S
from tests.support.geth_network import geth

pytestmark = [pytest.mark.geth, pytest.mark.network, pytest.mark.processes, pytest.mark.timeout(300)]

MACHINES = ("ward-1", "ward-2", "ward-3")
START_TIMEOUT_S = 60.0


def vgroup_chain(*words: str) -> None:
    ended = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert ended.exit_code == 0, ended.output


@contextmanager
def started_by_hand(script: Path) -> Iterator[None]:
    """As systemd does it."""
    with (script.parent / "node.log").open("wb") as log, subprocess.Popen([script], stdout=log, stderr=log) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


def test_nodes_that_were_made_apart_form_one_network_from_their_cards(tmp_path: Path) -> None:
    ports = choose_ports("127.0.0.1", 0, 2 * len(MACHINES))
    for name, p2p_port, http_port in zip(MACHINES, ports[::2], ports[1::2], strict=True):
        where = ("--p2p-host", "127.0.0.1", "--p2p-port", str(p2p_port), "--http-port", str(http_port))
        vgroup_chain("make-node", "--dir", str(tmp_path / name), "--name", name, *where)
    cards = [str(tmp_path / name / name / "card.json") for name in MACHINES]
    for at, name in enumerate(MACHINES):
        vgroup_chain("compose", "--dir", str(tmp_path / name), "--geth", str(geth()), *cards[at:], *cards[:at])
    assert len({(tmp_path / name / "genesis.json").read_bytes() for name in MACHINES}) == 1
    with ExitStack() as machines:
        for name in MACHINES:
            machines.enter_context(started_by_hand(tmp_path / name / name / "start.sh"))
        for name in MACHINES:
            # As the timer does it each minute: they may have come to stand beside each other.
            vgroup_chain("mend", "--dir", str(tmp_path / name))
        networks = [ChainNetwork.open(tmp_path / name) for name in MACHINES]
        ends_at = time.monotonic() + START_TIMEOUT_S
        while not all((health := network.health()).is_well and (health.height or 0) > 3 for network in networks):
            assert time.monotonic() < ends_at, [network.health().problems for network in networks]
            time.sleep(0.5)
        nodes = [network.health().nodes for network in networks]
        assert [[node.name for node in each] for each in nodes] == [[name] for name in MACHINES]
        assert {len(each[0].signers or ()) for each in nodes} == {3}
