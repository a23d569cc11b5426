"""What a request wants to see happen on the chain."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from group_protocol.identifiers import Signature
from group_protocol.membership import ChainEvent, Membership

_Event = TypeVar("_Event", bound=ChainEvent)


@dataclass(frozen=True, slots=True)
class Wish(Generic[_Event]):
    """What a request wants to see happen.

    Attributes:
        kind: The event.
        word: Bytes that the event's log holds, to find it by.
        is_ours: Whether an event of that kind is the one.
        signature: 64 bytes that the transaction carries.
        still_holds: Whether the act is in force; one that was overtaken is no success any more.
    """

    kind: type[_Event]
    word: bytes
    is_ours: Callable[[_Event], bool]
    signature: Signature
    still_holds: Callable[[Membership], bool]
