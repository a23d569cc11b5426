"""``vgroup slave find``: the masters in sight, each asked for the proof of its key."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from group_protocol.errors import BusyError, VirtualGroupError
from group_protocol.ports import Random
from group_protocol.suites import Suite
from slave_client.errors import MasterUnreachableError
from slave_client.finding.places import Place
from slave_client.finding.proving import ask_for_proof
from slave_client.finding.search import SEARCH_S, Sighting, listen_for_masters
from slave_client.keystore import KeyStore
from slave_client.state_directory import StateDirectory

_AT_ONCE = 8
_ASKED_MAX = 64
Prove = Callable[[Place], object]


@dataclass(frozen=True, slots=True)
class SeenMaster:
    """One advertised place of a master.

    Attributes:
        state: ``proved``, ``busy``, ``no answer``, or ``not this master``.
    """

    sighting: Sighting
    place: Place
    state: str
    is_ours: bool


async def find_masters(
    state_dir: Path, suites: Sequence[Suite], random: Random, *, search_s: float = SEARCH_S
) -> list[SeenMaster]:
    """Listen, ask everybody at the same time, and say what came of it."""
    ours = await asyncio.to_thread(_load_master, state_dir)
    slots = asyncio.Semaphore(_AT_ONCE)
    asked: dict[tuple[bytes, Place], asyncio.Task[SeenMaster]] = {}

    async def ask(sighting: Sighting, place: Place) -> SeenMaster:
        async with slots:
            state = await _ask(sighting, place, suites, random)
        return SeenMaster(sighting, place, state, sighting.master == ours)

    async with asyncio.TaskGroup() as asking:
        async for sighting in listen_for_masters(search_s):
            for place in sighting.places:
                if (sighting.master, place) not in asked and len(asked) < _ASKED_MAX:
                    asked[sighting.master, place] = asking.create_task(ask(sighting, place))
    seen = [task.result() for task in asked.values()]
    return sorted(seen, key=lambda one: (not one.is_ours, one.sighting.master, one.state != "proved", str(one.place)))


async def _ask(sighting: Sighting, place: Place, suites: Sequence[Suite], random: Random) -> str:
    try:
        await ask_for_proof(place, sighting.master, suites, random)
    except BusyError:
        return "busy"
    except MasterUnreachableError:
        return "no answer"
    except VirtualGroupError:
        return "not this master"
    return "proved"


def _load_master(state_dir: Path) -> bytes | None:
    if not state_dir.exists():
        return None
    directory = StateDirectory(state_dir)
    directory.check()
    device = KeyStore(directory).load_state()
    return device.master if device else None


def masters_json(seen: Sequence[SeenMaster]) -> str:
    """A list for programs."""
    return json.dumps(
        [
            {
                "master": f"0x{one.sighting.master.hex()}",
                "endpoint": str(one.place),
                "state": one.state,
                "is_ours": one.is_ours,
                "name": one.sighting.name,
            }
            for one in seen
        ],
        indent=1,
    )


def masters_lines(seen: Sequence[SeenMaster]) -> list[str]:
    """A table for people."""
    if not seen:
        return [
            "No master is in sight.",
            "  It shows itself if it listens beyond its own machine (host) with mdns = true, on the same network, with",
            "  UDP port 5353 open. A typed address needs none of this: vgroup slave join vg1-…@HOST:PORT",
        ]
    width = max(len(str(one.place)) for one in seen)
    head = f"{'MASTER':42}  {'ADDRESS':{width}}  KEY"
    rows = [f"0x{one.sighting.master.hex()}  {one.place!s:{width}}  {_key(one)}" for one in seen]
    return [head, *rows]


def _key(one: SeenMaster) -> str:
    return f"{one.state}{', the master of this device' if one.is_ours and one.state == 'proved' else ''}"
