"""Whether the master can do its work, and if not, why."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from group_protocol.errors import VirtualGroupError
from group_protocol.ports import NodeReport
from master_api.context import MasterContext
from master_api.membership_follower import MembershipFollower

CHECK_TIMEOUT_S = 3.0
AGE_MAX_S = 1.0
"""An answer is good for this long, so that asking often costs nothing."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of each part: ``ok``, ``ok, but`` for what works and is not whole, or what is wrong with it."""

    parts: dict[str, str]

    @property
    def is_good(self) -> bool:
        """Whether every part is well."""
        return all(map(is_well, self.parts.values()))


def is_well(state: str) -> bool:
    """Whether a part that is described so works."""
    return state == "ok" or state.startswith("ok,")


class HealthCheck:
    """Checks store, registry, group and follower."""

    def __init__(self, context: MasterContext, follower: MembershipFollower) -> None:
        self._context = context
        self._follower = follower
        self._newest: Health | None = None
        self._checked_at_s = 0.0
        self._checking = asyncio.Lock()

    async def check(self) -> Health:
        """The state now, or a second ago."""
        async with self._checking:
            now_s = self._context.clock.monotonic_s()
            if self._newest is None or now_s - self._checked_at_s >= AGE_MAX_S:
                self._newest = Health(
                    {
                        "store": await _state_of(self._context.store.check),
                        "registry": await _state_of(self._check_registry),
                        "chain": self._context.watch.describe(),
                        "nodes": describe_nodes(self._context.registry.node_reports()),
                        "group": "ok" if self._context.group.formed is not None else "no group was created yet",
                        "membership": "ok" if self._follower.is_following else "the registry's events are not followed",
                    }
                )
                self._checked_at_s = now_s
            return self._newest

    async def _check_registry(self) -> None:
        await self._context.registry.fetch_block_time()


def describe_nodes(reports: Sequence[NodeReport]) -> str:
    """``ok``, or which of the chain's nodes cannot be used, and why."""
    bad = [report for report in reports if not report.is_good]
    if not bad:
        return "ok"
    words = "; ".join(f"{report.name} is {report.state}" for report in bad)
    good = len(reports) - len(bad)
    return f"ok, but {good} of {len(reports)}: {words}" if good else f"none of {len(reports)} can be asked: {words}"


async def _state_of(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except VirtualGroupError as exc:
        return str(exc)
    return "ok"
