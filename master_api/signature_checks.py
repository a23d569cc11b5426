"""Checking many signatures on other cores, while the event loop goes on.

A check takes 40 µs of arithmetic that does not hold Python's lock. In a thread each would still have to wait for the
lock again, up to 5 ms beside a busy loop; so they are checked by processes, many at a time
(:mod:`master_api.verification_worker`). Where there is one core only, or a process cannot be had, the loop's own
process checks them: slower, and just as well.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import Sequence
from typing import Final

from group_protocol.identifiers import Address, GroupId, ObjectId
from group_protocol.records import SignedRecord
from group_protocol.typed_data import TypedDataDomain
from master_api.verification_worker import LENGTH, answer_request, encode_request

SIGNATURES_CHECKED_INLINE_MAX: Final = 8
"""So many take less of the loop's time than asking another process costs in latency."""
_ANSWER_TIMEOUT_S: Final = 30.0
_END_S: Final = 5.0
_RESTART_S: Final = 1.0

_log = logging.getLogger("vgroup.master.signatures")


def choose_processes(most: int) -> int:
    """How many to use: one for each core but the event loop's own, and no more than ``most``."""
    return min(most, len(os.sched_getaffinity(0)) - 1)


class _Worker:
    """One process; requests are answered in their order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: deque[asyncio.Future[bytes]] = deque()
        self.waiting_records = 0
        self._reading = asyncio.create_task(self._read_answers(), name="signature checks")

    @classmethod
    async def start(cls) -> "_Worker":
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "master_api.verification_worker"),  # -P: nothing from the current folder
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return cls(process)

    async def ask(self, request: bytes, records: int) -> bytes:
        """Raises ConnectionError or TimeoutError when the process is gone or hangs."""
        if self._process.stdin is None or self._reading.done():
            raise ConnectionError("the process has ended")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self.waiting_records += records
        try:
            self._process.stdin.write(request)
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await self._process.stdin.drain()
                return await answer
        finally:
            self.waiting_records -= records

    async def stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _END_S)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_answers(self) -> None:
        try:
            while self._process.stdout is not None:
                head = await self._process.stdout.readexactly(LENGTH.size)
                verdicts = await self._process.stdout.readexactly(LENGTH.unpack(head)[0])
                answer = self._answers.popleft()
                if not answer.done():
                    answer.set_result(verdicts)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for answer in self._answers:
                if not answer.done():
                    answer.set_exception(ConnectionError("the process that checks signatures has ended"))


class SignatureChecks:
    """Checks signatures of records. Close it after the last frame.

    Args:
        processes: How many to use, from the first time on that many signatures come at once; 0: none.
    """

    def __init__(self, processes: int) -> None:
        self._to_start = processes
        self._starting = asyncio.Lock()
        self._workers: list[_Worker] = []
        self._replacing: list[asyncio.Task[None]] = []

    async def close(self) -> None:
        """End the processes."""
        self._to_start = 0
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        workers, self._workers = self._workers, []
        for worker in workers:
            await worker.stop()

    async def find_good(
        self, domain: TypedDataDomain, gid: GroupId, sender: ObjectId, signer: Address, records: Sequence[SignedRecord]
    ) -> frozenset[SignedRecord]:
        """Those of a device's records that ``signer`` signed; all others are still to be judged.

        A few are left to whoever judges them. Never raises for what is wrong with a record or with a process.
        """
        if len(records) <= SIGNATURES_CHECKED_INLINE_MAX:
            return frozenset()
        request = encode_request(domain, gid, sender, signer, records)
        verdicts = await self._ask(request, len(records))
        return frozenset(record for record, verdict in zip(records, verdicts, strict=True) if verdict == 1)

    async def _ask(self, request: bytes, records: int) -> bytes:
        async with self._starting:
            while self._to_start:
                self._to_start -= 1
                await self._start_one()
        while self._workers:
            worker = min(self._workers, key=lambda one: one.waiting_records)
            try:
                return await worker.ask(request, records)
            except (ConnectionError, TimeoutError):
                self._replace(worker)
        answer = await asyncio.to_thread(answer_request, request[LENGTH.size :])
        return answer[LENGTH.size :]

    def _replace(self, failed: _Worker) -> None:
        """A process has ended or hangs: go on without it, and start another."""
        if failed not in self._workers:
            return
        self._workers.remove(failed)
        _log.error("a process that checks signatures has failed and is started anew")
        self._replacing.append(asyncio.create_task(self._start_instead_of(failed)))

    async def _start_instead_of(self, failed: _Worker) -> None:
        await failed.stop()
        await asyncio.sleep(_RESTART_S)
        await self._start_one()

    async def _start_one(self) -> None:
        try:
            self._workers.append(await _Worker.start())
        except OSError as exc:
            _log.warning("signatures are checked in the master's own process", extra={"fields": {"cause": str(exc)}})
