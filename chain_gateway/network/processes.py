"""A node as a process of its own: started so that it outlives us, found again, ended."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from chain_gateway.network.layout import NodeFolder
from system_ports.private_files import replace_private_file

STOP_TIMEOUT_S: Final = 20.0
"""Time for a node to close its database. After that it is killed: its database survives that too."""

LOG_LINES_SHOWN: Final = 12
_LOG_MAX_BYTES: Final = 10 * 1024 * 1024
_POLL_S: Final = 0.05
_START_TIME_FIELD: Final = 19
"""Index of ``starttime`` among the fields of /proc/PID/stat that follow the command's name (proc(5), field 22)."""


def start_node(folder: NodeFolder) -> "subprocess.Popen[bytes]":
    """Start a node in a session of its own and remember its process."""
    cut_log(folder)
    with folder.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - the script that we wrote
            [str(folder.start_script)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    replace_private_file(folder.pid_file, f"{process.pid} {_start_time(process.pid)}\n".encode("ascii"))
    return process


def find_process(folder: NodeFolder) -> int | None:
    """The process id of the running node; None if it does not run. A pid that went to another program is not it."""
    try:
        pid, started = map(int, folder.pid_file.read_text("ascii").split())
    except (OSError, ValueError):
        return None
    return pid if _start_time(pid) == started else None


def stop_nodes(folders: list[NodeFolder], timeout_s: float = STOP_TIMEOUT_S) -> list[str]:
    """End nodes side by side; the names of those that did not end in time and were killed."""
    running = {folder: pid for folder in folders if (pid := find_process(folder)) is not None}
    for pid in running.values():
        send_signal(pid, signal.SIGTERM)
    ends_at = time.monotonic() + timeout_s
    while any(_is_alive(folder) for folder in running) and time.monotonic() < ends_at:
        time.sleep(_POLL_S)
    stubborn = [folder for folder in running if _is_alive(folder)]
    for folder in stubborn:
        send_signal(running[folder], signal.SIGKILL)
    while any(_is_alive(folder) for folder in stubborn):
        time.sleep(_POLL_S)
    for folder in folders:
        folder.pid_file.unlink(missing_ok=True)
    return [folder.name for folder in stubborn]


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a node. One that has ended meanwhile does not matter."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def cut_log(folder: NodeFolder) -> None:
    """Put an overlong log aside, as ``node.log.1``. The node appends, so that it goes on at the new beginning."""
    if folder.log.exists() and folder.log.stat().st_size > _LOG_MAX_BYTES:
        shutil.copyfile(folder.log, folder.log.with_suffix(".log.1"))
        os.truncate(folder.log, 0)


def log_end(folder: NodeFolder) -> str:
    """The node's last lines, for a message that says why it failed."""
    try:
        lines = folder.log.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(f"    {line}" for line in lines[-LOG_LINES_SHOWN:])


def _is_alive(folder: NodeFolder) -> bool:
    return find_process(folder) is not None


def _start_time(pid: int) -> int | None:
    """When a process started, in the kernel's ticks: with the pid, its name for good. None: it has ended."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)  # one of our own children would stay a zombie
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[_START_TIME_FIELD])
