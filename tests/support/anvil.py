"""A real anvil node for a test: started on a free loopback port, ended with the test."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, Timer

import pytest

ANVIL = Path(__file__).resolve().parents[2] / "node_modules" / ".bin" / "anvil"
RICH_KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""The first account of the mnemonic "test test … junk": anvil gives it 10,000 ether. Known to everybody."""

SECOND_RICH_KEY = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
"""The second account of the mnemonic that anvil gives ether to. Known to everybody."""
START_TIMEOUT_S = 30


@contextmanager
def run_anvil(*options: str) -> Iterator[str]:
    """Run anvil and answer its URL. If it is not installed, the test fails."""
    if not ANVIL.exists():
        pytest.fail(f"{ANVIL} is missing; install it with `make dev`")
    command = [str(ANVIL), "--host", "127.0.0.1", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            address = _read_address(process)
            drain = Thread(target=_read_to_the_end, args=(process,), name="anvil-output")
            drain.start()
            yield f"http://{address}"
        finally:
            process.kill()
        drain.join()


def _read_to_the_end(process: "subprocess.Popen[str]") -> None:
    """anvil prints a line for each request and would stop when the pipe is full."""
    for _ in process.stdout or ():
        pass


def _read_address(process: "subprocess.Popen[str]") -> str:
    watchdog = Timer(START_TIMEOUT_S, process.kill)
    watchdog.start()
    printed = []
    try:
        for line in process.stdout or ():
            printed.append(line)
            if found := re.match(r"Listening on (\S+)", line):
                return found[1]
    finally:
        watchdog.cancel()
    pytest.fail(f"anvil did not start:\n{''.join(printed)}")


def write_key(path: Path, key: str = RICH_KEY) -> Path:
    """A key file as the gateway wants it."""
    path.touch(mode=0o600)
    path.write_text(f"{key}\n")
    return path
