"""The second implementation joins a master that runs as a process of its own, associates on its chain, and streams."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from group_protocol.crypto.keys import PrivateKey
from group_protocol.identifiers import derive_object_id
from tests.interop.node import run_script

pytestmark = [pytest.mark.network, pytest.mark.processes]

PROGRAM = (sys.executable, "-m", "vgroup")
Vgroup = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def vgroup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vgroup]:
    """Runs ``vgroup … --json`` on the folder of a master that is running and has a group."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VGROUP_")}
    environment["VGROUP_MASTER_DIR"] = str(tmp_path_factory.mktemp("interop") / "master")

    def run(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [*PROGRAM, *arguments, "--json"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        parsed: dict[str, Any] = json.loads(done.stdout)
        return parsed

    run("master", "init", "--plain-key")
    command = [*PROGRAM, "master", "run", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as master:
        try:
            assert master.stdout is not None
            assert json.loads(master.stdout.readline())["port"]
            run("group", "create", "ward 3")
            yield run
        finally:
            master.send_signal(signal.SIGTERM)
            assert master.wait(20) == 0


@pytest.mark.parametrize(
    ("number", "suites", "aeads", "picked"),
    [
        (1, "E1", "C20P1305,A256GCM", ("E1", "C20P1305")),
        (2, "H1,E1", "A256GCM,C20P1305", ("H1", "A256GCM")),
        (3, "H1", "A256GCM", ("H1", "A256GCM")),
    ],
)
def test_device_in_another_language_joins_associates_and_streams(
    vgroup: Vgroup, number: int, suites: str, aeads: str, picked: tuple[str, str]
) -> None:
    key = PrivateKey.from_secret(number.to_bytes(32, "big"))
    invitation = vgroup("device", "invite", f"bed {number}")
    joined = run_script("join_master.mjs", invitation["pairing_string"], suites, aeads, key.secret.hex())
    assert (joined["suite"], joined["aead"]) == picked
    assert joined["oid"] == derive_object_id(key.address).hex()
    assert joined["state"] == 2
    assert joined["block"] > 0
    acks = [joined["dataAck"], *joined["streamAcks"]]
    assert {ack["reason"] for ack in acks} == {0}
    assert joined["dataAck"]["last"] == joined["streamAcks"][0]["last"] == 2
    assert [acks[-1]["last"], acks[-1]["evidence"]] == [5, 5]


def test_devices_in_another_language_send_each_other_messages_and_verify_them(vgroup: Vgroup) -> None:
    keys = [PrivateKey.from_secret(number.to_bytes(32, "big")) for number in (11, 12)]
    words = []
    for number, key in enumerate(keys):
        words += [vgroup("device", "invite", f"talking {number}")["pairing_string"], key.secret.hex()]
    said = run_script("exchange_messages.mjs", *words)
    assert [said["from"], said["to"]] == [derive_object_id(key.address).hex() for key in keys]
    assert {ack["reason"] for ack in said["acks"]} == {0}
    assert [(message["from"], message["seq"]) for message in said["heard"]] == [(said["from"], 1), (said["from"], 2)]
    (count,) = vgroup("records", "messages")["messages"]
    assert (count["waiting"], count["delivered"], count["refused"]) == (0, 2, 0)


def test_records_of_the_other_implementation_verify_from_the_store(vgroup: Vgroup) -> None:
    verdict = vgroup("records", "verify")
    assert (verdict["good"], verdict["bad"], verdict["waiting"]) == (17, 0, 0)
