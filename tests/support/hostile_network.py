"""A network that belongs to the adversary: what was said on it, and an all-seeing witness of what each end believes.

The witness holds the promises of ``docs/protocol.md``: two ends of a session have one view of it, each unit is opened
at most once and says what its sender sealed, each record is stored at most once and only if its device said it.
"""

import json
from dataclasses import dataclass, field
from typing import Literal

from group_protocol.channels import MasterSession, SlaveSession
from group_protocol.crypto.kdf import sha256
from group_protocol.identifiers import Address, ObjectId, SessionId

Port = Literal["/keysSession", "/getTicket", "/assoc", "/rotate", "/data", "/stream"]
PORTS: tuple[Port, ...] = ("/keysSession", "/getTicket", "/assoc", "/rotate", "/data", "/stream")
RECORD_PORTS: tuple[Port, ...] = ("/data", "/stream")
Lane = tuple[SessionId, str, int]
"""Session, channel, seq."""


def lane_of(sid: SessionId, port: Port, seq: int) -> Lane:
    """``/assoc`` and ``/rotate`` share the control channel."""
    return sid, "control" if port in {"/assoc", "/rotate"} else port, seq


@dataclass(frozen=True)
class Packet:
    """Something that was sent, from node to node; ``seq`` says which request an answer on control or data is for."""

    sender: str
    to: str
    port: Port
    body: bytes
    seq: int = 0
    is_opening: bool = False


@dataclass(frozen=True)
class View:
    """What one end believes of a session; ``keys`` stands for all six lane keys, and so for the whole transcript."""

    sid: SessionId
    master: Address
    slave: Address
    keys: bytes


def slave_view(session: SlaveSession, master: Address, slave: Address) -> View:
    keys = (
        session.control._sealer._key,
        session.control._opener._key,
        session.data._sealer._key,
        session.data._opener._key,
        session.stream_out._sealer._key,
        session.stream_in._opener._key,
    )
    return View(session.sid, master, slave, sha256(b"".join(keys)))


def master_view(session: MasterSession, master: Address, slave: Address) -> View:
    keys = (
        session.control._opener._key,
        session.control._sealer._key,
        session.data._opener._key,
        session.data._sealer._key,
        session.stream_in._opener._key,
        session.stream_out._sealer._key,
    )
    return View(session.sid, master, slave, sha256(b"".join(keys)))


@dataclass
class Witness:
    """Sees both ends; every method that judges asserts."""

    proven_by_slave: set[View] = field(default_factory=set)
    admitted: set[View] = field(default_factory=set)
    established: set[View] = field(default_factory=set)
    sealed_by_slave: dict[Lane, bytes] = field(default_factory=dict)
    sealed_by_master: dict[Lane, bytes] = field(default_factory=dict)
    opened_by_master: set[Lane] = field(default_factory=set)
    opened_by_slave: set[Lane] = field(default_factory=set)
    said: dict[tuple[ObjectId, int], bytes] = field(default_factory=dict)
    stored: dict[tuple[ObjectId, int], bytes] = field(default_factory=dict)
    wished_keys: set[tuple[ObjectId, Address]] = field(default_factory=set)
    dropped_keys: set[Address] = field(default_factory=set)
    refusals: int = 0

    def slave_proved_itself(self, view: View) -> None:
        assert view not in self.proven_by_slave
        self.proven_by_slave.add(view)

    def master_admitted(self, view: View, *, enrolled: bool) -> None:
        """Agreement of the master with the slave, injective; and an identity is an enrolled key."""
        assert enrolled
        assert view.slave not in self.dropped_keys, "a key that was rotated out opened a session"
        assert view in self.proven_by_slave, "the master holds a view that no slave holds"
        assert all(other.sid != view.sid for other in self.admitted), "two sessions under one name"
        self.admitted.add(view)

    def slave_established(self, view: View) -> None:
        """Agreement of the slave with the master, injective."""
        assert view in self.admitted, "the slave holds a view that its master does not hold"
        assert view not in self.established
        self.established.add(view)

    def slave_sealed(self, lane: Lane, plaintext: bytes) -> None:
        assert lane not in self.sealed_by_slave, "a nonce was used twice"
        self.sealed_by_slave[lane] = plaintext

    def master_sealed(self, lane: Lane, plaintext: bytes) -> None:
        assert lane not in self.sealed_by_master, "a nonce was used twice"
        self.sealed_by_master[lane] = plaintext

    def master_opened(self, lane: Lane, plaintext: bytes) -> None:
        assert lane not in self.opened_by_master, "a unit was taken twice"
        assert self.sealed_by_slave.get(lane) == plaintext
        self.opened_by_master.add(lane)

    def slave_opened(self, lane: Lane, plaintext: bytes) -> None:
        assert lane not in self.opened_by_slave, "an answer was taken twice"
        assert self.sealed_by_master.get(lane) == plaintext
        self.opened_by_slave.add(lane)

    def slave_wishes_key(self, slave: ObjectId, new: Address) -> None:
        self.wished_keys.add((slave, new))

    def master_changed_key(self, slave: ObjectId, old: Address, new: Address) -> None:
        assert (slave, new) in self.wished_keys, "a key was changed that its device did not wish to change"
        assert new not in self.dropped_keys, "a key came back"
        assert old not in self.dropped_keys, "a key was rotated out twice"
        self.dropped_keys.add(old)

    def slave_said(self, slave: ObjectId, seq: int, payload: bytes) -> None:
        assert (slave, seq) not in self.said
        self.said[slave, seq] = payload

    def master_stored(self, slave: ObjectId, seq: int, payload: bytes) -> None:
        assert (slave, seq) not in self.stored, "a record was accepted twice"
        assert self.said.get((slave, seq)) == payload
        assert all(known < seq for device, known in self.stored if device == slave), "stored out of order"
        self.stored[slave, seq] = payload

    def slave_was_acknowledged(self, slave: ObjectId, seq: int) -> None:
        assert self.stored.get((slave, seq)) == self.said[slave, seq], "a record was acknowledged and is not stored"


Mangling = Literal["truncate", "flip", "append", "mix field", "drop field", "other sid"]
MANGLINGS: tuple[Mangling, ...] = ("truncate", "flip", "append", "mix field", "drop field", "other sid")


def mangle(how: Mangling, body: bytes, other: bytes, position: int) -> bytes:
    """What the adversary makes of a message; ``other`` is another one, of any kind or session."""
    at = position % (len(body) or 1)
    match how:
        case "truncate":
            return body[:at]
        case "flip":
            return body[:at] + bytes([body[at] ^ (1 << position % 8)]) + body[at + 1 :] if body else body
        case "append":
            return body + other[:at]
        case "other sid":
            return other[:16] + body[16:]
        case "mix field" | "drop field":
            return _edit_fields(how == "mix field", body, other, position)


def _edit_fields(is_mixed: bool, body: bytes, other: bytes, position: int) -> bytes:
    try:
        fields, source = json.loads(body), json.loads(other)
    except (UnicodeDecodeError, ValueError):
        return body[: len(body) // 2] + other[len(other) // 2 :]
    name = sorted(fields)[position % len(fields)]
    if not is_mixed:
        del fields[name]
    elif name in source:
        fields[name] = source[name]
    return json.dumps(fields, separators=(",", ":")).encode("ascii")
