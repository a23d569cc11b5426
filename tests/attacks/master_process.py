"""A master as its operator runs it: ``vgroup master run`` in a process of its own, and what can be seen of it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

from group_protocol.pairing import parse_pairing_string
from master_api.admin_socket import ask_master
from master_api.config import ADMIN_SOCKET_NAME, STORE_NAME
from master_api.config_sources import DATA_DIR_VARIABLE, ENVIRONMENT_PREFIX
from master_api.key_file import write_plain_key
from master_api.private_files import ensure_private_folder
from tests.support.running_master import MASTER_KEY

STOP_TIMEOUT_S = 30
NOTED_REFUSAL = "peer.refused"
"""The one entry that anybody may cause in the audit log, at a bounded rate."""
ROOMY: Mapping[str, object] = {
    "suites": "H1,E1,R1",
    "handshakes_per_s": 1e6,
    "handshakes_burst": 10**6,
    "handshakes_per_address_per_s": 1e6,
    "handshakes_per_address_burst": 10**6,
    "half_open_max": 10**5,
    "half_open_per_address_max": 10**5,
    "cookie_threshold": 10**5,
}
"""Every suite, and limits that the tests of other things do not meet; ``test_floods.py`` runs with the defaults."""


@dataclass(frozen=True)
class State:
    """All that an attack could change."""

    tables: dict[str, list[tuple[Any, ...]]]
    """Every row of the store except the audit log's."""
    group: Mapping[str, object]
    """The group as the chain has it: epoch, members, revoked ones."""
    sessions: object
    streams: object
    audit: list[tuple[str, str]]
    """Kind and detail of each entry."""


class MasterProcess:
    """Start it with :meth:`start`, end it with :meth:`stop`; it may be started again on the same folder."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.log = folder.with_name(folder.name + ".log")
        self.numbers = count(1_000)
        self.port = 0
        self.may_report_errors = False
        own = {name: value for name, value in os.environ.items() if not name.startswith("VGROUP_")}
        chosen = {ENVIRONMENT_PREFIX + name.upper(): str(value) for name, value in settings.items()}
        self._environment = own | chosen | {DATA_DIR_VARIABLE: str(folder)}
        self._process: subprocess.Popen[str] | None = None
        ensure_private_folder(folder)
        write_plain_key(folder, MASTER_KEY)

    def start(self) -> None:
        """Return when it listens."""
        command = [sys.executable, "-m", "vgroup", "master", "run", "--port", "0"]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            pytest.fail(f"the master did not start:\n{self.log.read_text()}")
        self.port = json.loads(line)["port"]

    def stop(self) -> None:
        """End it in good order; what it printed holds no trace of an error of its own."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(STOP_TIMEOUT_S) == 0
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()
        assert self.may_report_errors or "Traceback" not in self.log.read_text(), self.log.read_text()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def resident_bytes(self) -> int:
        """Memory that the process holds."""
        assert self._process is not None
        return int(psutil.Process(self._process.pid).memory_info().rss)

    async def ask(self, operation: str, **arguments: object) -> dict[str, Any]:
        """What its operator can ask."""
        answer = await ask_master(self.folder / ADMIN_SOCKET_NAME, operation, arguments)
        assert answer is not None, "the master does not answer its operator"
        return answer

    async def make_code(self, name: str = "bed 1", **arguments: object) -> bytes:
        invitation = await self.ask("device.invite", name=name, **arguments)
        return parse_pairing_string(invitation["pairing_string"]).code

    async def state(self) -> State:
        status = await self.ask("master.status")
        audit = [(str(kind), str(detail)) for _, _, kind, detail, _ in self._read_all()["audit"]]
        return State(self.read_tables(), await self.ask("group.show"), status["sessions"], status["streams"], audit)

    async def settled_state(self) -> State:
        """The same, once streams that were closed a moment ago have ended at the master too."""
        before = await self.state()
        while (after := await self.state()).streams != before.streams:
            before = after
        return after

    def read_tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the store but the audit log's and the chain's last sign of life, straight from its file."""
        kept_on_their_own = ("audit", "audit_head", "chain_contact")
        return {name: rows for name, rows in self._read_all().items() if name not in kept_on_their_own}

    def _read_all(self) -> dict[str, list[tuple[Any, ...]]]:
        with closing(sqlite3.connect(f"file:{self.folder / STORE_NAME}?mode=ro", uri=True)) as store:
            names = [str(name) for (name,) in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return {name: list(store.execute(f'SELECT * FROM "{name}" ORDER BY rowid')) for name in names}  # noqa: S608

    @asynccontextmanager
    async def unchanged(self, *, noted: Iterable[str] = (), tables: Iterable[str] = ()) -> AsyncIterator[None]:
        """Whatever happens inside leaves the store, the chain and the sessions as they are.

        Args:
            noted: Kinds of audit entries that may, and must, be written besides refusals.
            tables: Tables that may change.
        """
        before = await self.settled_state()
        yield
        after = await self.state()
        for name, rows in before.tables.items():
            assert name in tables or after.tables[name] == rows, f"the attack changed {name}"
        assert (after.group, after.sessions, after.streams) == (before.group, before.sessions, before.streams)
        assert after.audit[: len(before.audit)] == before.audit
        written = {kind for kind, _ in after.audit[len(before.audit) :]}
        assert written - {NOTED_REFUSAL} == set(noted)
