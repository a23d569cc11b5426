"""Whether the chain answers, since when it does not, and what that means for the members' records."""

import asyncio
import logging

from group_protocol.errors import RegistryInconsistent, RegistryUnavailable, StoreError
from group_protocol.ports import Clock, GroupRegistry
from master_api.audit import AuditKind, AuditLog, Detail
from master_api.chain_policy import ChainAwayPolicy
from master_api.descriptions import iso_time
from master_api.store.store import Store
from master_api.store.waiting_acts import fetch_contact, note_contact

CHECK_S = 1.0
"""Pause between two questions."""
ANSWER_WAIT_S = 5.0
"""A chain that has not answered after this is away."""
CONTACT_KEPT_S = 30.0
"""How old the contact in the store may be: a restart makes the time away that much longer, never shorter."""

_log = logging.getLogger("vgroup.master.chain")


class ChainWatch:
    """Asks the registry every second. Its answers cost no I/O.

    Until ``longest_away_s`` have passed members go on under the last known membership, by either policy. Devices keep
    what is refused in their buffers and bring it when the chain is back.
    """

    def __init__(
        self,
        registry: GroupRegistry,
        store: Store,
        audit: AuditLog,
        clock: Clock,
        policy: ChainAwayPolicy,
        longest_away_s: float,
    ) -> None:
        self._registry = registry
        self._store = store
        self._audit = audit
        self._clock = clock
        self._policy = policy
        self._longest_away_s = longest_away_s
        self._contact_s = clock.monotonic_s()
        self._contact_unix_s = clock.now_unix_s()
        self._kept_at_s: float | None = None
        self.is_away = False
        self.came_back = asyncio.Event()

    @property
    def away_s(self) -> float:
        """Seconds since the chain last answered; 0 while it does."""
        return self._clock.monotonic_s() - self._contact_s if self.is_away else 0.0

    @property
    def refuses_records(self) -> bool:
        """Whether members' records are refused because nobody knows any more who is one."""
        return self._policy is ChainAwayPolicy.FAIL_CLOSED and self.away_s > self._longest_away_s

    def describe(self) -> str:
        """``ok``, or since when the chain is away and what is done about it."""
        if not self.is_away:
            return "ok"
        since = f"away since {iso_time(self._contact_unix_s)} ({self._policy})"
        if self.away_s <= self._longest_away_s:
            until = iso_time(self._contact_unix_s + self._longest_away_s)
            after = "taken all the same" if self._policy is ChainAwayPolicy.FAIL_OPEN else "refused"
            return f"{since}; records are taken on the membership of then, after {until} they are {after}"
        if self._policy is ChainAwayPolicy.FAIL_OPEN:
            return f"{since}; records are taken on the membership of then"
        return f"{since}; records are refused until it answers"

    async def load(self) -> None:
        """Take up when the chain last answered an earlier run. Raises StoreError."""
        known_unix_s = await self._store.read(fetch_contact)
        if known_unix_s is not None:
            gone_s = max(0.0, self._clock.now_unix_s() - known_unix_s)
            self._contact_s = self._clock.monotonic_s() - gone_s
            self._contact_unix_s = self._clock.now_unix_s() - gone_s

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.check()
            await asyncio.sleep(CHECK_S)

    async def check(self) -> None:
        """Ask once."""
        try:
            async with asyncio.timeout(ANSWER_WAIT_S):
                await self._registry.check()
        except TimeoutError:
            await self._note_silence(f"no answer within {ANSWER_WAIT_S:g} s")
        except (RegistryUnavailable, RegistryInconsistent) as exc:
            await self._note_silence(str(exc))
        else:
            await self._note_contact()

    async def _note_contact(self) -> None:
        was_away_s, was_away, self.is_away = self.away_s, self.is_away, False
        self._contact_s, self._contact_unix_s = self._clock.monotonic_s(), self._clock.now_unix_s()
        self.came_back.set()
        if was_away:
            _log.info("the chain answers again", extra={"fields": {"away_s": round(was_away_s)}})
            await self._note(AuditKind.CHAIN_BACK, {"away_s": round(was_away_s)})
        if was_away or self._kept_at_s is None or self._contact_s - self._kept_at_s >= CONTACT_KEPT_S:
            self._kept_at_s = self._contact_s
            try:
                await self._store.write(lambda connection: note_contact(connection, self._contact_unix_s))
            except StoreError as exc:
                _log.warning(
                    "the chain's answer was not noted", extra={"fields": {"message": str(exc), "code": exc.code}}
                )

    async def _note_silence(self, why: str) -> None:
        if self.is_away:
            return
        self.is_away = True
        self.came_back.clear()
        _log.warning("the chain is away", extra={"fields": {"why": why, "policy": str(self._policy)}})
        await self._note(AuditKind.CHAIN_AWAY, {"since": iso_time(self._contact_unix_s), "policy": str(self._policy)})

    async def _note(self, kind: AuditKind, detail: Detail) -> None:
        try:
            await self._store.write(lambda connection: self._audit.append(connection, kind, detail))
        except StoreError as exc:
            _log.warning("the audit log was not written", extra={"fields": {"message": str(exc), "code": exc.code}})
