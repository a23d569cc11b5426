"""The way to the master: in which order its possible places are tried, and that only its key decides.

::

    1. the place of the pairing string       the user's word comes first, and always has its try
    2. the place where it proved itself last
    3. what mDNS tells: every address is first asked for a proof (M1, M2), a few at a time; a session is opened
       with one that gave it

A place counts as found only once a session stands there. Whoever advertises the master's address without having its key
costs one proof of at most :data:`~slave_client.finding.proving.PROOF_S`, and is not asked twice in a round.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Final

from group_protocol.errors import RemoteProtocolError, VirtualGroupError
from group_protocol.identifiers import Address
from group_protocol.ports import Random
from group_protocol.suites import Suite
from slave_client.device_state import DeviceState
from slave_client.errors import MasterRefusalError, MasterUnreachableError, NotAdmittedError
from slave_client.finding.attempts import WORDS, Attempts
from slave_client.finding.places import Place, Way, on_every_link
from slave_client.finding.proving import ask_for_proof, ask_who_it_is
from slave_client.finding.search import Sighting, listen_for_masters
from slave_client.joining import Joining, OpenSession
from slave_client.transport import HEARTBEAT_S, Transport

CONNECT_S: Final = 5.0
"""For a name's look-up and TCP together: long enough for two lost packets."""
_HINTS_MAX: Final = 64
"""Most advertised places of one search that are asked at all."""
_HINTS_AT_ONCE: Final = 8
_SESSIONS_MAX: Final = 8
"""Most places of a search that gave a proof and are then tried: one may pass on the master's proof, and no more."""
_SEARCH_PAUSE_S: Final = 10.0
"""Least time between two searches."""

Search = Callable[[], AsyncGenerator[Sighting, None]]
ELSEWHERE: Final = (MasterUnreachableError, MasterRefusalError, RemoteProtocolError)
"""After these the master may be at another place. Anything else was said by the master itself, or went wrong here."""


class MasterFinder:
    """Opens sessions wherever the master is.

    Args:
        suites: Offered in proofs.
        random: For their keys.
        report: Called with a line when the master is found elsewhere than before.
        search: Listens to the local network; None: never.
        heartbeat_s: Of its transports.
    """

    def __init__(
        self,
        suites: Sequence[Suite],
        random: Random,
        report: Callable[[str], None],
        search: Search | None = listen_for_masters,
        *,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._suites = suites
        self._random = random
        self._report = report
        self._search = search
        self._heartbeat_s = heartbeat_s
        self._searched_at_s = float("-inf")

    @asynccontextmanager
    async def session(self, joining: Joining) -> AsyncIterator[tuple[Transport, OpenSession]]:
        """A session and the transport that it stands on.

        Raises:
            DeviceRevokedError: The master says that we are revoked.
            UnknownMasterError: Somebody else answers, and the master is nowhere in sight.
            NotAdmittedError: The master admits none of our keys.
            MasterUnreachableError, BusyError, KeyStoreError: As they say.
        """
        attempts = Attempts()
        async with AsyncExitStack() as exits, aclosing(self._places(joining.state, attempts)) as places:
            async for place, way in places:
                try:
                    async with AsyncExitStack() as trial:
                        transport = self._transport(place)
                        await trial.enter_async_context(transport)
                        opened = await joining.open_session(transport)
                        exits.push_async_exit(trial.pop_all())
                except ELSEWHERE as exc:
                    attempts.add(place, way, exc)
                    if isinstance(exc, NotAdmittedError) and way is Way.TYPED:
                        break
                    continue
                await self._note(joining, place, way)
                await places.aclose()
                yield transport, opened
                return
        master = joining.state.master
        raise await attempts.verdict(master, ask_who_it_is)

    def _transport(self, place: Place) -> Transport:
        return Transport(place.host, place.port, connect_timeout_s=CONNECT_S, heartbeat_s=self._heartbeat_s)

    async def _note(self, joining: Joining, place: Place, way: Way) -> None:
        if way is not Way.TYPED and place != joining.state.last_place:
            await joining.note_place(place)
        joining.reached = (place, way)
        if way is Way.MDNS:
            self._report(f"found the master at {place}, {WORDS[way]}")

    async def _places(self, state: DeviceState, attempts: Attempts) -> AsyncGenerator[tuple[Place, Way], None]:
        tried: set[Place] = set()
        for place, way in known_places(state):
            tried.add(place)
            yield place, way
        now_s = asyncio.get_running_loop().time()
        if self._search is None or now_s - self._searched_at_s < _SEARCH_PAUSE_S:
            return
        self._searched_at_s = now_s
        attempts.has_searched = True

        async def prove(place: Place) -> None:
            try:
                await ask_for_proof(place, state.master, self._suites, self._random, device=state)
            except ELSEWHERE as exc:
                attempts.add(place, Way.MDNS, exc)
                raise

        async with aclosing(proven_places(self._search(), state.master, tried, prove)) as proven:
            trials = 0
            async for place in proven:
                yield place, Way.MDNS
                trials += 1
                if trials == _SESSIONS_MAX:
                    return


def known_places(state: DeviceState) -> list[tuple[Place, Way]]:
    """Where to look without asking anybody."""
    known = [(place, Way.TYPED) for place in on_every_link(Place(state.host, state.port))]
    if state.last_place is not None and all(place != state.last_place for place, _ in known):
        known.append((state.last_place, Way.LAST))
    return known


async def proven_places(
    sightings: AsyncGenerator[Sighting, None],
    master: Address,
    tried: set[Place],
    prove: Callable[[Place], Awaitable[object]],
) -> AsyncGenerator[Place, None]:
    """The places out of a search at which the master proves itself, the quickest first.

    Args:
        sightings: The search; it is closed.
        master: Whom we look for. Others in sight are asked last: one may be ours under its next key (§3.5).
        tried: Places that are not asked; those that are asked are added.
        prove: Returns, or raises a VirtualGroupError.
    """
    found: asyncio.Queue[Place | None] = asyncio.Queue()
    slots = asyncio.Semaphore(_HINTS_AT_ONCE)

    async def ask(place: Place) -> None:
        async with slots:
            with contextlib.suppress(VirtualGroupError):
                await prove(place)
                found.put_nowait(place)

    async def ask_all() -> None:
        try:
            async with asyncio.TaskGroup() as asking, aclosing(sightings):

                def ask_each(places: Iterable[Place]) -> None:
                    for place in places:
                        if place not in tried and len(tried) < _HINTS_MAX:
                            tried.add(place)
                            asking.create_task(ask(place))

                others: list[Place] = []
                async for sighting in sightings:
                    if sighting.master == master:
                        ask_each(sighting.places)
                    else:
                        others += sighting.places[: _HINTS_MAX - len(others)]
                ask_each(others)
        finally:
            found.put_nowait(None)

    everything = asyncio.create_task(ask_all())
    try:
        while (place := await found.get()) is not None:
            yield place
        await everything
    finally:
        everything.cancel()
        await asyncio.gather(everything, return_exceptions=True)
