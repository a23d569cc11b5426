from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from group_protocol.errors import BusyError
from group_protocol.identifiers import ObjectId
from master_api.enrolment import Enrolment
from master_api.reloading import RELOADABLE, Reloader
from system_ports.edge_server import ConnectionBounds
from tests.support.master_parts import Parts, make_parts


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    parts = await make_parts(tmp_path)
    yield parts
    await parts.close()


def reloader(parts: Parts, logs: list[tuple[str, str]]) -> Reloader:
    context = parts.context
    return Reloader(
        context, Enrolment(context), ConnectionBounds(2, 2), lambda form, level, _: logs.append((form, level))
    )


def test_names_are_settings(parts: Parts) -> None:
    assert set(type(parts.context.config).__dataclass_fields__) >= RELOADABLE


async def test_reloadable_settings_are_taken_and_the_others_wait_for_a_restart(parts: Parts) -> None:
    logs: list[tuple[str, str]] = []
    before = parts.context.config
    wanted = replace(before, log_level="DEBUG", pairing_lifetime_s=60, port=4_000)

    reloaded = reloader(parts, logs).reload(wanted)

    assert (reloaded.changed, reloaded.waiting) == (("log_level", "pairing_lifetime_s"), ("port",))
    assert parts.context.config == replace(before, log_level="DEBUG", pairing_lifetime_s=60)
    assert logs == [("text", "DEBUG")]


async def test_same_settings_change_nothing(parts: Parts) -> None:
    logs: list[tuple[str, str]] = []
    reloaded = reloader(parts, logs).reload(parts.context.config)
    assert (reloaded.changed, reloaded.waiting, logs) == ((), (), [])


async def test_new_bounds_hold_from_now_on(parts: Parts) -> None:
    device = ObjectId(bytes(16))
    here = reloader(parts, [])
    here.reload(
        replace(
            parts.context.config,
            half_open_per_address_max=0,
            sessions_max=0,
            connections_max=0,
            handshakes_per_address_burst=1,
        )
    )

    with pytest.raises(BusyError, match="half-open"):
        parts.context.half_open.require_room("192.0.2.1", 0.0)
    with pytest.raises(BusyError, match="sessions"):
        parts.context.live.require_room(device, 0.0)
    assert not here.bounds.admit("192.0.2.1")


async def test_prove_progress_waits_for_the_store_and_names_a_task_that_died(parts: Parts) -> None:
    await parts.service.prove_progress()
    parts.service.follower.run = _die  # type: ignore[method-assign] # a mistake of ours in the background
    await parts.service.close()
    await parts.service.open()
    with pytest.raises(RuntimeError, match="follower has ended"):
        await parts.service.prove_progress()


async def _die() -> None:
    raise LookupError("a mistake")
