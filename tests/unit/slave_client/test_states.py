import pytest

from group_protocol.errors import LocalProtocolError
from slave_client.states import TRANSITIONS, Event, State, next_state


def test_every_pair_outside_the_table_raises_local_protocol_error() -> None:
    for state in State:
        for event in Event:
            if (state, event) not in TRANSITIONS:
                with pytest.raises(LocalProtocolError):
                    next_state(state, event)


def test_revoked_is_final() -> None:
    assert not [state for state, _ in TRANSITIONS if state is State.REVOKED]


def test_every_state_but_unpaired_is_reached_from_stopped() -> None:
    reached = {State.STOPPED}
    while True:
        more = reached | {after for (before, _), after in TRANSITIONS.items() if before in reached}
        if more == reached:
            break
        reached = more
    assert reached == set(State) - {State.UNPAIRED}


def test_every_running_state_can_be_stopped() -> None:
    for state in (State.CONNECTING, State.JOINING, State.STREAMING, State.BACKING_OFF):
        assert next_state(state, Event.STOPPED) is State.STOPPED


@pytest.mark.parametrize("state", [State.CONNECTING, State.JOINING, State.STREAMING])
def test_failure_leads_to_backing_off_and_back_to_connecting(state: State) -> None:
    assert next_state(state, Event.FAILED) is State.BACKING_OFF
    assert next_state(State.BACKING_OFF, Event.WAITED) is State.CONNECTING
