"""M5 and M6: asking the master for the association until the contract's receipt stands (``docs/protocol.md`` §4)."""

from collections.abc import Awaitable, Callable

from group_protocol.channels import SlaveSession
from group_protocol.errors import Reason, RefusedError, RegistryUnavailable
from group_protocol.tickets import AssociationCall, MembershipState, RegistryResult
from slave_client.control_channel import ask_on_control
from slave_client.transport import Transport

_POLL_S = 1.0
"""Between two questions while the receipt is pending; the master itself waits up to 20 s. Each pause is..."""
_POLL_GROWTH = 1.2
"""...so much longer than the last..."""
_LONGEST_POLL_S = 10.0
"""...up to this."""
_PENDING = "the contract's receipt is pending"
_CHAIN_AWAY = "the master cannot reach the chain now, and keeps our request"


async def ask_until_settled(
    transport: Transport,
    session: SlaveSession,
    call: AssociationCall,
    *,
    waits_for_chain: bool,
    report: Callable[[str], None],
    pause: Callable[[float], Awaitable[None]],
) -> RegistryResult:
    """Ask, however long it takes. Answers that the device is ACTIVE, or that it is REVOKED.

    Args:
        transport: The session's.
        session: The session.
        call: The token and our signature; the same in each question.
        waits_for_chain: Go on asking while the master cannot reach the chain, however long; else raise.
        report: Called with one line when there is something new to tell.
        pause: Waits so many seconds.

    Raises:
        RefusedError: The contract or the master refused for a stated reason.
        RegistryUnavailable: The master cannot reach the contract.
        MasterRefusalError, MasterUnreachableError, BusyError: As they say.
    """
    pause_s, told = _POLL_S, ""
    while True:
        result = RegistryResult.decode(await ask_on_control(transport, session, "/assoc", call.encode()))
        if result.state in (MembershipState.ACTIVE, MembershipState.REVOKED):
            return result
        _require_pending(result, waits_for_chain=waits_for_chain)
        line = _CHAIN_AWAY if result.reason is Reason.CHAIN_UNAVAILABLE else _PENDING
        if line != told:
            report(line)
            told = line
        await pause(pause_s)
        pause_s = min(pause_s * _POLL_GROWTH, _LONGEST_POLL_S)


def _require_pending(result: RegistryResult, *, waits_for_chain: bool) -> None:
    """That it makes sense to ask again. Raises what :func:`ask_until_settled` does."""
    is_away = result.reason is Reason.CHAIN_UNAVAILABLE
    if result.state is MembershipState.PENDING:
        if is_away and not waits_for_chain:
            raise RegistryUnavailable(
                _CHAIN_AWAY, remedy="Start `vgroup slave run`: it goes on from here when the chain is back."
            )
    elif is_away:
        raise RegistryUnavailable(
            "the master cannot reach the contract now", remedy="Try again; the device keeps its place."
        )
    else:
        raise RefusedError(result.reason, f"the association was refused: {result.reason.name}")
