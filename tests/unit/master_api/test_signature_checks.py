"""Signatures checked by other processes: the same verdicts, whatever becomes of a process."""

import asyncio
import struct
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from group_protocol.identifiers import Signature
from group_protocol.records import SignedRecord
from master_api.signature_checks import SIGNATURES_CHECKED_INLINE_MAX, SignatureChecks, choose_processes
from master_api.verification_worker import LENGTH, answer_request, encode_request
from tests.support.records import DEVICE, DEVICE_KEY, DOMAIN, GID, OTHER_GID, STRANGER_KEY, make_signed, replace

MANY = SIGNATURES_CHECKED_INLINE_MAX + 4
GOOD = [make_signed(seq) for seq in range(1, MANY + 1)]
FORGED = replace(GOOD[3], signature=Signature(bytes(64)))
ALTERED = replace(GOOD[5], seq=99)
MIXED = [*GOOD[:3], FORGED, GOOD[4], ALTERED, *GOOD[6:]]


@pytest.fixture(params=[0, 1], ids=["in the master's process", "in another process"])
async def checks(request: pytest.FixtureRequest) -> AsyncIterator[SignatureChecks]:
    opened = SignatureChecks(request.param)
    yield opened
    await opened.close()


async def find(checks: SignatureChecks, records: list[SignedRecord]) -> frozenset[SignedRecord]:
    return await checks.find_good(DOMAIN, GID, DEVICE, DEVICE_KEY.address, records)


async def test_good_records_are_found_and_no_others(checks: SignatureChecks) -> None:
    assert await find(checks, MIXED) == {record for record in MIXED if record not in (FORGED, ALTERED)}


async def test_nothing_is_good_for_another_signer_or_group(checks: SignatureChecks) -> None:
    assert not await checks.find_good(DOMAIN, GID, DEVICE, STRANGER_KEY.address, GOOD)
    assert not await checks.find_good(DOMAIN, OTHER_GID, DEVICE, DEVICE_KEY.address, GOOD)


async def test_requests_of_many_devices_at_once_get_their_own_answers(checks: SignatureChecks) -> None:
    parts = [GOOD, MIXED, [*MIXED[6:], *MIXED[:6]]] * 4
    found = await asyncio.gather(*(find(checks, part) for part in parts))
    assert found == [{record for record in part if record not in (FORGED, ALTERED)} for part in parts]


async def test_few_records_are_left_to_whoever_judges_them() -> None:
    checks = SignatureChecks(1)
    assert await find(checks, GOOD[:SIGNATURES_CHECKED_INLINE_MAX]) == frozenset()
    assert not checks._workers, "no process is started for so few"
    await checks.close()


async def test_process_that_was_killed_is_done_without_and_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("master_api.signature_checks._RESTART_S", 0.01)
    checks = SignatureChecks(1)
    try:
        await find(checks, GOOD)
        (killed,) = checks._workers
        killed._process.kill()
        assert await find(checks, MIXED) == {record for record in MIXED if record not in (FORGED, ALTERED)}
        async with asyncio.timeout(20):
            while not checks._workers:  # noqa: ASYNC110 - a process has no event
                await asyncio.sleep(0.02)
        assert checks._workers != [killed]
        assert await find(checks, GOOD) == set(GOOD)
    finally:
        await checks.close()


async def test_closing_ends_the_processes() -> None:
    checks = SignatureChecks(1)
    await find(checks, GOOD)
    process = checks._workers[0]._process
    await checks.close()
    assert process.returncode == 0


def test_worker_reads_requests_that_come_in_pieces_and_ends_with_its_input() -> None:
    request = encode_request(DOMAIN, GID, DEVICE, DEVICE_KEY.address, MIXED)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "master_api.verification_worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for piece in (request[:2], request[2:100], request[100:] + request):
        process.stdin.write(piece)
        process.stdin.flush()
    process.stdin.close()
    answers = process.stdout.read()
    process.stdout.close()
    assert process.wait(10) == 0
    assert answers == answer_request(request[LENGTH.size :]) * 2
    assert struct.unpack_from(">I", answers) == (MANY,)


def test_one_process_for_each_core_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 2, 3})
    assert choose_processes(16) == 3
    assert choose_processes(2) == 2
    assert choose_processes(0) == 0
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0})
    assert choose_processes(16) == 0
