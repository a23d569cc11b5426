"""What came of each place that was tried, and the one error that a person reads in the end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from group_protocol.errors import BusyError, RemoteProtocolError, UnknownMasterError, VirtualGroupError
from group_protocol.identifiers import Address
from slave_client.errors import MasterRefusalError, MasterUnreachableError, NotAdmittedError
from slave_client.finding.places import Place, Way
from slave_client.finding.proving import MasterHint

WORDS: Final = {Way.TYPED: "typed", Way.LAST: "where it was last", Way.MDNS: "told by mDNS"}
MOVED_REMEDY: Final = (
    "Look which masters are in sight: vgroup slave find. If yours has another address, name it: "
    "vgroup slave join STRING (the device keeps its place). "
    "To belong to another master, pair anew with a fresh --state-dir."
)
_SHOWN_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Attempt:
    """A place where no session came about.

    Attributes:
        error: Why.
    """

    place: Place
    way: Way
    error: VirtualGroupError

    @property
    def is_another_master(self) -> bool:
        """Whether somebody answered there who could not prove to be the master, or refused before he had."""
        return isinstance(self.error, RemoteProtocolError | MasterRefusalError) and not isinstance(
            self.error, BusyError | NotAdmittedError
        )


@dataclass(slots=True)
class Attempts:
    """All attempts of one round.

    Attributes:
        has_searched: Whether the local network was listened to.
    """

    made: list[Attempt] = field(default_factory=list)
    has_searched: bool = False

    def add(self, place: Place, way: Way, error: VirtualGroupError) -> None:
        """Note one."""
        self.made.append(Attempt(place, way, error))

    async def verdict(
        self, master: Address, ask_who: Callable[[Place], Awaitable[MasterHint | None]]
    ) -> VirtualGroupError:
        """The error of the round: the first place's own, or that another master sits there; and what else was tried."""
        first = self.made[0]
        if isinstance(first.error, NotAdmittedError):
            return first.error
        known = [one.error for one in self.made if one.way is not Way.MDNS]
        busy = next((error for error in known if isinstance(error, BusyError)), None)
        if busy is not None:
            return busy
        if first.is_another_master:
            hint = await ask_who(first.place)
            return self._other_master(first, master, hint)
        if isinstance(first.error, MasterUnreachableError):
            return MasterUnreachableError(f"{first.error}{self._also()}", remedy=first.error.remedy)
        return first.error

    def _other_master(self, first: Attempt, master: Address, hint: MasterHint | None) -> VirtualGroupError:
        pinned = f"0x{master.hex()}"
        if hint is not None and hint.master == pinned:
            return first.error  # it says that it is ours, and still cannot prove it: say what was wrong
        if hint is None or not hint.master:
            if isinstance(first.error, MasterRefusalError):
                return first.error
            return UnknownMasterError(
                f"{first.place} answers, but it is not master {pinned}{self._also()}", remedy=MOVED_REMEDY
            )
        return UnknownMasterError(
            f"{first.place}: this is master {hint.master}, not {pinned}{self._also()}", remedy=MOVED_REMEDY
        )

    def _also(self) -> str:
        others = [f"{one.place} ({WORDS[one.way]})" for one in self.made[1 : 1 + _SHOWN_MAX]]
        if len(self.made) > 1 + _SHOWN_MAX:
            others.append(f"{len(self.made) - 1 - _SHOWN_MAX} more")
        was_told = any(one.way is Way.MDNS for one in self.made)
        told = "; mDNS told of no other place" if self.has_searched and not was_told else ""
        return (f"; nor is it at {', '.join(others)}" if others else "") + told
