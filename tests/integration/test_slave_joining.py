"""Joining a running master in steps, each of which may be the last before a crash."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from group_protocol.crypto.aead import Aead
from group_protocol.errors import RegistryUnavailable
from group_protocol.pairing import PairingString
from group_protocol.suites import ALLOWED_OFFERS, Suite
from slave_client.composition import join
from slave_client.config import SlaveConfig
from slave_client.device_state import JoinStep
from slave_client.errors import DeviceRevokedError, MasterRefusalError, MasterUnreachableError
from slave_client.joining import Joining, Offer
from slave_client.state_directory import StateDirectory
from slave_client.transport import Transport
from tests.support.running_master import MASTER_KEY, running_master
from tests.support.slave_bench import paired_slave

pytestmark = pytest.mark.network


class CrashError(BaseException):
    """Stands for the end of the process."""


class CrashingTransport(Transport):
    """Ends the process at its n-th request: before it is sent, or when its answer has come."""

    def __init__(self, port: int, *, at_request: int, after_answer: bool) -> None:
        super().__init__("127.0.0.1", port)
        self._at_request = at_request
        self._after_answer = after_answer
        self._requests = 0

    async def post(self, path: str, body: bytes) -> bytes:
        self._requests += 1
        if self._requests == self._at_request and not self._after_answer:
            raise CrashError
        answer = await super().post(path, body)
        if self._requests == self._at_request:
            raise CrashError
        return answer


@pytest.mark.parametrize("suites", ALLOWED_OFFERS)
@pytest.mark.parametrize("aead", list(Aead))
async def test_paired_slave_associates_in_every_suite_and_cipher(
    tmp_path: Path, suites: tuple[Suite, ...], aead: Aead
) -> None:
    async with (
        running_master(tmp_path, suites=tuple(Suite)) as bench,
        paired_slave(tmp_path, bench, offer=Offer(suites, (aead,))) as slave,
    ):
        state = await slave.join()
        assert state.step is JoinStep.ASSOCIATED
        assert slave.state == state
        assert state.code is None


@pytest.mark.parametrize("after_answer", [False, True])
@pytest.mark.parametrize("at_request", [1, 2, 3])
async def test_crash_at_any_request_of_joining_leaves_a_device_that_finishes_at_the_next_start(
    tmp_path: Path, at_request: int, *, after_answer: bool
) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        crashing = CrashingTransport(slave.port, at_request=at_request, after_answer=after_answer)
        with pytest.raises(CrashError):
            await _join_over(slave.joining(), crashing)
        assert slave.state.step in (JoinStep.PAIRED, JoinStep.ENROLLED)
        state = await slave.join()
        assert state.step is JoinStep.ASSOCIATED
        devices = await bench.operations.list_devices()
        assert len(devices["devices"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("after_write", [False, True])
@pytest.mark.parametrize("at_write", [1, 2, 3, 4])
async def test_kill_at_any_write_of_the_join_command_heals_when_the_same_command_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_write: int, *, after_write: bool
) -> None:
    """The four: the device's keys, PAIRED, ENROLLED, ASSOCIATED."""
    async with running_master(tmp_path) as bench:
        port = urlsplit(bench.url).port or 0
        code = await bench.make_code()
        string = PairingString(MASTER_KEY.address, code, "127.0.0.1", port).to_text()
        config = SlaveConfig(tmp_path / "slave", mdns=False)
        writes: list[str] = []
        replace_file = StateDirectory.replace

        def crash_at_one(directory: StateDirectory, name: str, content: bytes) -> None:
            writes.append(name)
            if len(writes) == at_write and not after_write:
                raise CrashError
            replace_file(directory, name, content)
            if len(writes) == at_write:
                raise CrashError

        async def join_once() -> dict[str, object]:
            return await join(config, string, patience_s=5.0, report=lambda _line: None)

        monkeypatch.setattr(StateDirectory, "replace", crash_at_one)
        with pytest.raises(CrashError):
            await join_once()
        monkeypatch.undo()
        assert len(writes) == at_write
        assert (await join_once())["join_step"] == JoinStep.ASSOCIATED
        devices = await bench.operations.list_devices()
        assert len(devices["devices"]) == 1  # type: ignore[arg-type]


async def test_associated_slave_joins_again_without_a_second_association(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        first = await slave.join()
        slave.steps.clear()
        assert await slave.join() == first
        assert slave.steps == []


async def test_device_that_the_contract_does_not_have_associates_again(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        joining = slave.joining()
        async with slave.transport() as transport:
            await joining.open_session(transport)
        slave.store.store_state(slave.state.associated())
        assert (await slave.join()).step is JoinStep.ASSOCIATED
        assert any(step.startswith("associated in block") for step in slave.steps)


async def test_code_that_another_device_used_is_refused(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        code = slave.state.code
        assert code is not None
        await slave.join()
        async with paired_slave(tmp_path, bench, seed=2) as other:
            other.store.store_state(replace(other.state, code=code))
            with pytest.raises(MasterRefusalError):
                await other.join()
            assert other.state.step is JoinStep.PAIRED


async def test_revoked_slave_is_told_at_its_next_session_and_remembers(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        state = await slave.join()
        assert state.enrolment is not None
        await bench.operations.revoke_device(state.enrolment.oid.hex())
        with pytest.raises(DeviceRevokedError):
            await slave.join()
        assert slave.state.step is JoinStep.REVOKED
        with pytest.raises(DeviceRevokedError):
            await slave.join()


async def test_slave_without_a_master_at_the_address_raises_unreachable(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        joining = slave.joining()
    with pytest.raises(MasterUnreachableError, match="no connection"):
        await _join_over(joining, Transport("127.0.0.1", slave.port, connect_timeout_s=2.0))


async def test_contract_that_is_away_leaves_the_slave_enrolled_and_the_next_start_finishes(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench) as slave:
        joining = slave.joining()
        async with slave.transport() as transport:
            opened = await joining.open_session(transport)
            bench.registry.is_reachable = False
            with pytest.raises(RegistryUnavailable, match="keeps our request"):
                await joining.associate(transport, opened, waits_for_chain=False)
        assert slave.state.step is JoinStep.ENROLLED
        bench.registry.is_reachable = True
        assert (await slave.join()).step is JoinStep.ASSOCIATED


async def _join_over(joining: Joining, transport: Transport) -> None:
    async with transport:
        await joining.associate(transport, await joining.open_session(transport))
