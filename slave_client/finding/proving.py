"""Asking whoever listens at a place to prove that it is the master: M1 and M2 (``docs/protocol.md`` §3), no further.

A session would end the running daemon's; and a liar learns nothing: the key is drawn for this and never used again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from group_protocol.crypto.keys import SECRET_BYTES, PrivateKey
from group_protocol.errors import UnknownMasterError
from group_protocol.handshake import SlaveHandshake
from group_protocol.identifiers import Address
from group_protocol.messages import CookieChallenge, parse_keys_session_answer
from group_protocol.ports import Random
from group_protocol.suites import Suite
from slave_client.device_state import DeviceState
from slave_client.finding.places import Place
from slave_client.processor import preferred_aeads
from slave_client.succession import find_successor
from slave_client.transport import Transport

PROOF_S: Final = 5.0
"""For the connection and for each of the answers."""
_HINT_MAX_BYTES: Final = 16_384


async def ask_for_proof(
    place: Place, master: Address, suites: Sequence[Suite], random: Random, *, device: DeviceState | None = None
) -> Address:
    """Whose key is there: this master's or, for a device, that of the master which its own signature leads to (§3.5).

    Raises:
        UnknownMasterError: Neither.
        RemoteProtocolError: It speaks something else; as BusyError it has no time for an answer.
        MasterRefusalError: It refuses, as another group's master does.
        MasterUnreachableError: Nothing usable came.
    """
    async with Transport(place.host, place.port, connect_timeout_s=PROOF_S, answer_timeout_s=PROOF_S) as transport:
        try:
            await _ask_for_m2(transport, master, suites, random)
        except UnknownMasterError:
            successor = await find_successor(transport, device) if device is not None else None
            if successor is None:
                raise
            await _ask_for_m2(transport, successor, suites, random)
            return successor
        return master


async def _ask_for_m2(transport: Transport, master: Address, suites: Sequence[Suite], random: Random) -> None:
    handshake = SlaveHandshake(
        key=PrivateKey.from_secret(random.token_bytes(SECRET_BYTES)),
        master=master,
        gid=None,
        oid=None,
        suites=tuple(suites),
        aeads=preferred_aeads(),
        pairing_code=None,
        random=random,
    )
    answer = parse_keys_session_answer(await transport.post("/keysSession", handshake.start().to_body()))
    following = handshake.receive_keys_session(answer)
    if isinstance(answer, CookieChallenge):
        answer = parse_keys_session_answer(await transport.post("/keysSession", following.to_body()))
        handshake.receive_keys_session(answer)


@dataclass(frozen=True, slots=True)
class MasterHint:
    """What whoever listens there says of itself, without proof: words for a message, never a reason for anything.

    Attributes:
        master: ``0x`` and 40 hex digits; empty if it says none.
        unix_s: Its clock.
    """

    master: str
    unix_s: float | None


async def ask_who_it_is(place: Place, *, timeout_s: float = PROOF_S) -> MasterHint | None:
    """``GET /healthz``. None if nothing readable comes."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as http,
            http.get(f"http://{place}/healthz", allow_redirects=False) as answer,
        ):
            if (answer.content_length or _HINT_MAX_BYTES + 1) > _HINT_MAX_BYTES:
                return None
            shown = await answer.json()
            date = answer.headers.get("Date")
            return MasterHint(_address_text(shown), parsedate_to_datetime(date).timestamp() if date else None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


def _address_text(shown: object) -> str:
    master = shown.get("master") if isinstance(shown, dict) else None
    if not isinstance(master, str) or len(master) != 42 or not master.startswith("0x"):
        return ""
    digits = master.removeprefix("0x").lower()
    return f"0x{digits}" if set(digits) <= set("0123456789abcdef") else ""
