"""Attacks on the running master, each over the network, with bytes that were really on the wire.

Every function answers an :class:`Attack` that says whether the master did what ``docs/protocol.md`` promises.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from group_protocol.errors import Reason
from group_protocol.frames import Ack, Items, MasterFrame, encode_frame
from group_protocol.identifiers import GroupId, Token
from group_protocol.limits import DATA_BODY_MAX_BYTES
from group_protocol.messages import SealedRequest
from group_protocol.ports import RegistryIdentity
from group_protocol.records import sign_record
from group_protocol.senml import Reading, encode_readings
from group_protocol.tickets import AssociationCall, MembershipState
from group_protocol.typed_data import TypedDataDomain
from measure.wire.capture import Exchange
from measure.wire.proxy import RecordingProxy
from vgroup.demo.attacker import POLICY_VIOLATION, Attacker, Foothold, Reply, flip_bit
from vgroup.demo.errors import DemoFailed
from vgroup.demo.summary import Attack

_FAR_AHEAD: Final = 1_000
"""Beyond any number that the victim reaches, in the same generation of keys."""
_FORGED: Final = encode_readings([Reading("ppg", 1_700_000_000.0, 4_095.0)])


@dataclass(frozen=True, slots=True)
class Loot:
    """What the attacker has got hold of.

    Attributes:
        tickets: A slave's exchanges of M3 for M4, of an earlier session and of the one that it sends in now.
        data_wire: Everything between that slave, which sends over /data, and its master.
        stream_wire: The same of a slave that sends over /stream; None if there is none.
        used_code: A pairing code that a slave has used.
        token: That slave's token. Tokens are public: they stand in the transactions of the associations.
    """

    tickets: Sequence[Exchange]
    data_wire: RecordingProxy
    stream_wire: RecordingProxy | None
    used_code: bytes
    token: Token


async def gain_foothold(attacker: Attacker, code: bytes) -> tuple[Foothold, Attack]:
    """Enrol as an invited device, with a flipped bit in M3 at first: only the unharmed M3 may get in."""
    approach = await attacker.begin(attacker.make_key(), code=code)
    m3 = approach.make_m3()
    reply = await attacker.post("/getTicket", replace(m3, sealed=flip_bit(m3.sealed, at=80)).to_body())
    foothold = await attacker.finish(approach, m3)
    if isinstance(foothold, Reply):
        raise DemoFailed(f"an invited device was not let in: {foothold}")
    return foothold, Attack(
        "flipped bit in M3",
        "an invited device's M3 with one bit turned, then the same unharmed",
        f"{reply}; the unharmed one is let in",
        reply.is_refusal,
    )


async def attack_all(attacker: Attacker, foothold: Foothold, loot: Loot) -> list[Attack]:
    """Everything else that can be tried while nobody is revoked."""
    tickets, frames = loot.tickets, loot.data_wire.exchanges("/data")
    if len(tickets) < 2 or not frames:
        raise DemoFailed("too little was seen on the wire to send again: a slave has not sent anything yet")
    attacks = [
        await replay(attacker, "replayed M3", tickets[-1]),
        await replay_ended(attacker, tickets[0]),
        await replay(attacker, "replayed record", frames[-1]),
        await renumber(attacker, frames[-1]),
        await carry_over(attacker, foothold, frames[-1]),
    ]
    if loot.stream_wire is not None:
        attacks.append(await replay_stream(attacker, loot.stream_wire))
    return [
        *attacks,
        await flip_data_bit(attacker, foothold),
        await send_uninvited(attacker, foothold),
        await steal_token(attacker, foothold, loot.token),
        await name_unknown_group(attacker),
        await guess_code(attacker),
        await reuse_code(attacker, loot.used_code),
    ]


async def replay(attacker: Attacker, name: str, seen: Exchange) -> Attack:
    """The very request again. The stored answer may come back (§3.4, §5.2); nothing may be done twice."""
    reply = await attacker.post(seen.path, seen.request.body)
    is_stored_answer = (reply.status, reply.body) == (seen.status, seen.answer.body)
    answer = "the answer of the first time, byte for byte: nothing is done twice" if is_stored_answer else str(reply)
    attempt = f"a slave's POST {seen.path}, {len(seen.request.body):,} bytes off the wire, once more"
    return Attack(name, attempt, answer, is_stored_answer or reply.is_refusal)


async def replay_ended(attacker: Attacker, seen: Exchange) -> Attack:
    """M3 of a session that is over."""
    reply = await attacker.post(seen.path, seen.request.body)
    return Attack("replayed M3, older", "the M3 of the same slave's earlier session", str(reply), reply.is_refusal)


async def renumber(attacker: Attacker, seen: Exchange) -> Attack:
    """A sealed unit under a number that the master has not seen."""
    unit = SealedRequest.from_body(seen.request.body, max_bytes=DATA_BODY_MAX_BYTES)
    reply = await attacker.post("/data", replace(unit, seq=unit.seq + _FAR_AHEAD).to_body())
    attempt = f"the same record as number {unit.seq + _FAR_AHEAD:,} instead of {unit.seq:,}"
    return Attack("replayed record, new number", attempt, str(reply), reply.is_refusal)


async def carry_over(attacker: Attacker, foothold: Foothold, seen: Exchange) -> Attack:
    """A sealed unit of one session in another."""
    unit = SealedRequest.from_body(seen.request.body, max_bytes=DATA_BODY_MAX_BYTES)
    reply = await attacker.post("/data", replace(unit, sid=foothold.session.sid).to_body())
    return Attack(
        "replayed record, other session", "the same record in the attacker's own session", str(reply), reply.is_refusal
    )


async def replay_stream(attacker: Attacker, wire: RecordingProxy) -> Attack:
    """The first message of somebody's stream, on a socket of one's own."""
    openings = [connection.first_stream_message() for connection in wire.connections if connection.is_stream]
    if not openings or openings[-1] is None:
        raise DemoFailed("no stream was seen on the wire")
    code = await attacker.open_stream_with(openings[-1])
    return Attack(
        "replayed stream opening",
        "a slave's OPEN off the wire, on a WebSocket of the attacker's",
        f"the master closes the socket, code {code}" if code else "the master answers it",
        code == POLICY_VIOLATION,
    )


async def flip_data_bit(attacker: Attacker, foothold: Foothold) -> Attack:
    """One bit of a sealed frame; the unharmed frame is the control."""
    unit = foothold.session.data.seal_request(_forged_frame(foothold))
    reply = await attacker.post(
        "/data", replace(unit, sealed=flip_bit(unit.sealed, at=len(unit.sealed) // 2)).to_body()
    )
    control = await attacker.send_sealed(foothold, unit)
    return Attack(
        "flipped bit in a record",
        "a sealed frame with one bit turned, then the same unharmed",
        f"{reply}; the unharmed one opens",
        reply.is_refusal and not isinstance(control, Reply),
    )


async def send_uninvited(attacker: Attacker, foothold: Foothold, *, name: str = "record of a non-member") -> Attack:
    """A well-signed record of a device that is no member of the group (any more)."""
    unit = foothold.session.data.seal_request(_forged_frame(foothold))
    answer = await attacker.send_sealed(foothold, unit)
    is_refused = isinstance(answer, Ack) and answer.reason is Reason.NOT_A_MEMBER
    attempt = f"a good signature, from a device whose state is {foothold.ticket.state.name}"
    return Attack(name, attempt, describe_frame(answer), is_refused)


async def steal_token(attacker: Attacker, foothold: Foothold, token: Token) -> Attack:
    """Another device's token in one's own M5."""
    ticket = foothold.ticket
    domain = TypedDataDomain(RegistryIdentity(ticket.chain_id, ticket.contract))
    digest = domain.association_digest(ticket.gid, token, ticket.deadline_unix_s)
    call = AssociationCall(token, foothold.key.sign_digest(digest), ticket.deadline_unix_s)
    result = await attacker.associate(foothold, call)
    return Attack(
        "stolen token",
        "a slave's token in M5, signed with the attacker's own key",
        f"M6: {result.reason.name}, the attacker is {result.state.name}",
        result.reason is Reason.TOKEN_REFUSED and result.state is MembershipState.NOT_ASSOCIATED,
    )


async def name_unknown_group(attacker: Attacker) -> Attack:
    """M1 that names a group of somebody else's."""
    approach = await attacker.begin(attacker.make_key(), code=None, gid=GroupId(b"no group of hers"))
    return Attack("unknown group", "M1 with the id of another group", str(approach.reply), approach.reply.is_refusal)


async def guess_code(attacker: Attacker) -> Attack:
    """A pairing code that nobody was given."""
    reply = await attacker.open_session(attacker.make_key(), code=b"not a valid code")
    return _admission("wrong pairing code", "a new device with a guessed code", reply)


async def reuse_code(attacker: Attacker, code: bytes) -> Attack:
    """A pairing code that another device has used."""
    reply = await attacker.open_session(attacker.make_key(), code=code)
    return _admission("used pairing code", "a new device with the code that a slave joined with", reply)


def describe_frame(answer: MasterFrame | Reply) -> str:
    """What came back for a sealed frame, in words."""
    if isinstance(answer, Ack):
        return f"sealed ACK: {answer.reason.name}, {answer.last_seq} records stored"
    return str(answer)


def _admission(name: str, attempt: str, answer: Foothold | Reply) -> Attack:
    if isinstance(answer, Foothold):
        return Attack(name, attempt, "M4: the device was let in", is_refused=False)
    return Attack(name, attempt, str(answer), answer.is_refusal)


def _forged_frame(foothold: Foothold) -> bytes:
    ticket = foothold.ticket
    record = sign_record(
        foothold.key,
        TypedDataDomain(RegistryIdentity(ticket.chain_id, ticket.contract)),
        ticket.gid,
        ticket.oid,
        ticket.master_oid,
        ticket.last_seq + 1,
        ticket.epoch,
        _FORGED,
    )
    return encode_frame(Items((record,)))
