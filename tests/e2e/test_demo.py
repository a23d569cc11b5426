"""``vgroup demo`` as its user runs it: as a process, to its end, stopped in the middle, and with a tampered store."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from group_protocol.exit_codes import ExitCode
from group_protocol.senml import decode_readings, encode_readings

pytestmark = [pytest.mark.processes, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(300)]
_END_TIMEOUT_S: Final = 240
_POLL_S: Final = 0.05
_CHILDREN_GONE_S: Final = 10


class Demo:
    """A running demo; whatever happens, nothing of it outlives the test."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.state = folder / "state"
        self.json_file = folder / "demo.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vgroup", "demo", "--keep", str(self.state), "--json", str(self.json_file), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_for_line(self, part: str) -> None:
        """Read its output up to a line that holds this."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            if part in line:
                return
            lines.append(line)
        raise AssertionError(f"the demo ended without saying {part!r}:\n{''.join(lines)}")

    def finish(self) -> tuple[int, str]:
        """Exit status and the rest of its output."""
        output, _ = self.process.communicate(timeout=_END_TIMEOUT_S)
        return self.process.returncode, output

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.json_file.read_text("utf-8"))
        return facts

    def kill(self) -> None:
        for process in self.descendants() if self.process.poll() is None else []:
            process.kill()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """Where a test puts the demo that it has started."""
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.kill()


def processes_in(folder: Path) -> list[str]:
    """Command lines that name the folder: all of the demo's processes do, or are children of those that do."""
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]


def test_whole_demo_holds_and_leaves_no_process(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, "--slaves", "2", "--seconds", "3", "--speed", "20")
    demos.append(demo)
    status, output = demo.finish()
    assert status == ExitCode.OK, output
    facts = demo.facts()
    assert facts["holds"]
    assert facts["failures"] == []
    assert [slave["is_revoked"] for slave in facts["slaves"]] == [False, True]
    steady, revoked = facts["slaves"]
    assert steady["records_sent"] == steady["records_acknowledged"] == steady["records_stored"] > 0
    assert steady["readings_taken"] == steady["readings_stored"] > 20 * 3 * 90
    assert 0 < revoked["records_acknowledged"] <= revoked["records_stored"] <= revoked["records_sent"]
    assert len(facts["gas"]["associations"]) == 2
    assert all(0 < gas < 90_000 for gas in facts["gas"]["associations"])
    assert len(facts["attacks"]) >= 18
    assert all(attack["is_refused"] for attack in facts["attacks"])
    assert facts["epoch"] == 2
    for slave in facts["slaves"]:
        join = slave["join"]
        assert join["connections"] == 1
        assert join["wire_bytes"] > join["body_bytes"] > 4_000
        assert join["total_ms"] == pytest.approx(join["slave_ms"] + join["master_ms"] + join["chain_ms"], rel=1e-6)
    assert processes_in(tmp_path) == []
    assert "\x1b" not in output


def test_one_slave_alone_is_enough(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, "--slaves", "1", "--seconds", "1", "--speed", "5")
    demos.append(demo)
    status, output = demo.finish()
    assert status == ExitCode.OK, output
    assert demo.facts()["holds"]


def alter_first_sample(payload: bytes) -> bytes:
    """The same SenML, with the first value one greater."""
    first, *rest = decode_readings(payload)
    assert isinstance(first.value, float)
    return encode_readings([first._replace(value=first.value + 1), *rest])


def test_store_that_is_tampered_with_fails_the_demo(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, "--slaves", "2", "--seconds", "4", "--speed", "5")
    demos.append(demo)
    demo.wait_for_line("records sent")
    with closing(sqlite3.connect(demo.state / "master" / "master.sqlite3", timeout=10)) as store, store:
        numbers = store.execute("SELECT number, payload FROM records WHERE seq = 2 ORDER BY oid").fetchall()
        (altered, payload), (deleted, _) = numbers
        store.execute("UPDATE records SET payload = ? WHERE number = ?", (alter_first_sample(payload), altered))
        store.execute("DELETE FROM records WHERE number = ?", (deleted,))
    status, output = demo.finish()
    assert status == ExitCode.CHECK_FAILED, output
    failures = demo.facts()["failures"]
    assert any(re.search(r"sample \d+ is stored as", failure) for failure in failures), failures
    assert any("record 2 was acknowledged and is not stored" in failure for failure in failures), failures
    assert any("every stored record carries its device's signature" in failure for failure in failures), failures
    assert "claims did not hold" in output


@pytest.mark.parametrize(
    ("how", "when"),
    [
        (signal.SIGINT, "A master, its chain"),
        (signal.SIGTERM, "Slaves"),
        (signal.SIGINT, "Streaming"),
        (signal.SIGHUP, "records sent"),
    ],
)
def test_demo_that_is_told_to_stop_leaves_no_process(
    how: signal.Signals, when: str, tmp_path: Path, demos: list[Demo]
) -> None:
    demo = Demo(tmp_path, "--slaves", "2", "--seconds", "60")
    demos.append(demo)
    demo.wait_for_line(when)
    children = demo.descendants()
    demo.process.send_signal(how)
    status, output = demo.finish()
    assert status == ExitCode.INTERRUPTED, output
    assert "Traceback" not in output
    assert psutil.wait_procs(children, timeout=_CHILDREN_GONE_S)[1] == []
    assert processes_in(tmp_path) == []


def test_demo_that_is_killed_leaves_no_process(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, "--slaves", "2", "--seconds", "60")
    demos.append(demo)
    demo.wait_for_line("records sent")
    children = demo.descendants()
    assert len(children) >= 3
    demo.process.kill()
    demo.finish()
    assert psutil.wait_procs(children, timeout=_CHILDREN_GONE_S)[1] == []


def test_slave_that_dies_under_the_demo_fails_it_and_is_named(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, "--slaves", "2", "--seconds", "2", "--speed", "5")
    demos.append(demo)
    demo.wait_for_line("records sent")
    (slave,) = [process for process in demo.descendants() if str(demo.state / "slave-1") in process.cmdline()]
    slave.kill()
    status, output = demo.finish()
    assert status == ExitCode.CHECK_FAILED, output
    assert "slave-1" in output
    assert "Traceback" not in output


def test_directory_that_exists_is_refused_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "vgroup", "demo", "--keep", str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == ExitCode.USAGE
    assert "exists already" in ended.stderr


def test_without_terminal_and_without_keep_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "vgroup", "demo", "--slaves", "1", "--seconds", "60"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        while not list(tmp_path.glob("vgroup-demo-*/master.ready")):
            assert process.poll() is None
            time.sleep(_POLL_S)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_END_TIMEOUT_S)
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []
