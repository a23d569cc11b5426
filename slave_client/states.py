"""The daemon's states and the one table that says which follows which."""

from enum import Enum, StrEnum, auto
from typing import Final

from group_protocol.errors import LocalProtocolError


class State(StrEnum):
    """What ``vgroup slave status`` shows."""

    UNPAIRED = "unpaired"
    """No pairing string was ever taken: there is nothing to run."""
    STOPPED = "stopped"
    """Not running."""
    CONNECTING = "connecting"
    """M1–M4 with the master."""
    JOINING = "joining"
    """Admitted; the contract's receipt is awaited (M5, M6)."""
    STREAMING = "streaming"
    """Delivering, over /stream or /data."""
    BACKING_OFF = "backing-off"
    """Waiting before the next attempt; readings go on into the buffer."""
    REVOKED = "revoked"
    """The contract has revoked the device. Final."""


class Event(Enum):
    """What moves the daemon."""

    STARTED = auto()
    SESSION_OPENED = auto()
    ASSOCIATED = auto()
    SESSION_ENDED = auto()
    FAILED = auto()
    WAITED = auto()
    WAS_REVOKED = auto()
    STOPPED = auto()


TRANSITIONS: Final = {
    (State.STOPPED, Event.STARTED): State.CONNECTING,
    (State.CONNECTING, Event.SESSION_OPENED): State.JOINING,
    (State.CONNECTING, Event.FAILED): State.BACKING_OFF,
    (State.CONNECTING, Event.WAS_REVOKED): State.REVOKED,
    (State.CONNECTING, Event.STOPPED): State.STOPPED,
    (State.JOINING, Event.ASSOCIATED): State.STREAMING,
    (State.JOINING, Event.FAILED): State.BACKING_OFF,
    (State.JOINING, Event.WAS_REVOKED): State.REVOKED,
    (State.JOINING, Event.STOPPED): State.STOPPED,
    (State.STREAMING, Event.SESSION_ENDED): State.CONNECTING,
    (State.STREAMING, Event.FAILED): State.BACKING_OFF,
    (State.STREAMING, Event.WAS_REVOKED): State.REVOKED,
    (State.STREAMING, Event.STOPPED): State.STOPPED,
    (State.BACKING_OFF, Event.WAITED): State.CONNECTING,
    (State.BACKING_OFF, Event.STOPPED): State.STOPPED,
}


def next_state(state: State, event: Event) -> State:
    """Look the next state up. Raises LocalProtocolError for what the table does not have."""
    try:
        return TRANSITIONS[state, event]
    except KeyError as exc:
        raise LocalProtocolError(f"{event.name} cannot happen while {state}") from exc
