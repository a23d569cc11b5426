"""Every refusal of the contract, on a stage where nothing but the one thing is wrong.

The cast: ``master`` leads a group with ``slave``, with ``revoked`` (revoked), and with ``rotated``, who has changed its
key to ``rotated-new``. ``other-master`` leads another group with ``other-slave``. The group's epoch is 3.

Only GroupIdInUse is not here: one master would have to create two groups, which ObjectIdInUse refuses first.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from group_protocol.errors import Reason
from group_protocol.identifiers import Address, GroupId, ObjectId, Signature
from group_protocol.limits import RECORD_SEQ_LIMIT
from group_protocol.ports import GroupRegistry
from group_protocol.tokens import issue_token
from tests.registry_suite.backends import Stage
from tests.registry_suite.signers import Signers, address_of, key_of, oid_of

EPOCH = 3
LONG_AGO_UNIX_S = 1_000_000_000
ZERO_ADDRESS = Address(bytes(20))
NO_GROUP = GroupId(b"\x01" * 16)
NOBODY = ObjectId(b"\x02" * 16)
SIGNED_BY_NOBODY = Signature(bytes(64))


async def set_refusal_stage(stage: Stage) -> None:
    """Bring the cast onto an empty stage."""
    registry, sign = stage.registry, stage.sign
    gid, other_gid = sign.gid_of("master"), sign.gid_of("other-master")
    await registry.create_group(sign.create_group("master"))
    await registry.create_group(sign.create_group("other-master"))
    await registry.associate_batch(
        [sign.associate(name, gid, master="master") for name in ("slave", "revoked", "rotated")]
        + [sign.associate("other-slave", other_gid, master="other-master")]
    )
    await registry.revoke(sign.revoke(gid, oid_of("revoked"), signer="master"))
    await registry.rotate(sign.rotate(gid, oid_of("rotated"), old="rotated", new="rotated-new"))


@dataclass(frozen=True)
class Refusal:
    """One attempt that must be refused for one reason."""

    name: str
    reason: Reason
    attempt: Callable[[GroupRegistry, Signers, GroupId], Awaitable[object]]


def with_high_s(signature: Signature) -> Signature:
    """The greatest s that EIP-2098 can hold, which is above half the order of the curve (``docs/protocol.md`` §0)."""
    return Signature(signature[:32] + (2**255 - 1).to_bytes(32, "big"))


CREATE_GROUP = [
    Refusal(
        "create_group_after_deadline",
        Reason.DEADLINE_PASSED,
        lambda r, s, _: r.create_group(s.create_group("new-master", deadline_unix_s=LONG_AGO_UNIX_S)),
    ),
    Refusal(
        "create_group_for_zero_address",
        Reason.ZERO_ADDRESS,
        lambda r, s, _: r.create_group(replace(s.create_group("new-master"), master=ZERO_ADDRESS)),
    ),
    Refusal(
        "create_group_signed_by_another",
        Reason.BAD_SIGNATURE,
        lambda r, s, _: r.create_group(s.create_group("new-master", signer="slave")),
    ),
    Refusal(
        "create_group_signed_by_nobody",
        Reason.BAD_SIGNATURE,
        lambda r, s, _: r.create_group(replace(s.create_group("new-master"), signature=SIGNED_BY_NOBODY)),
    ),
    Refusal(
        "create_group_with_other_salt_than_signed",
        Reason.BAD_SIGNATURE,
        lambda r, s, _: r.create_group(replace(s.create_group("new-master"), salt=bytes(32))),
    ),
    Refusal(
        "create_group_again",
        Reason.OBJECT_ID_IN_USE,
        lambda r, s, _: r.create_group(s.create_group("master", salt="second")),
    ),
    Refusal("create_group_by_slave", Reason.OBJECT_ID_IN_USE, lambda r, s, _: r.create_group(s.create_group("slave"))),
    Refusal(
        "create_group_by_revoked", Reason.OBJECT_REVOKED, lambda r, s, _: r.create_group(s.create_group("revoked"))
    ),
    Refusal(
        "create_group_by_key_that_was_rotated_to",
        Reason.ADDRESS_IN_USE,
        lambda r, s, _: r.create_group(s.create_group("rotated-new")),
    ),
]

ASSOCIATE = [
    Refusal(
        "associate_after_deadline",
        Reason.DEADLINE_PASSED,
        lambda r, s, g: r.associate(s.associate("new", g, master="master", deadline_unix_s=LONG_AGO_UNIX_S)),
    ),
    Refusal(
        "associate_signed_by_nobody",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.associate(replace(s.associate("new", g, master="master"), request=SIGNED_BY_NOBODY)),
    ),
    Refusal(
        "associate_with_high_s",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.associate(
            replace(
                s.associate("new", g, master="master"),
                request=with_high_s(s.associate("new", g, master="master").request),
            )
        ),
    ),
    Refusal(
        "associate_again",
        Reason.OBJECT_ID_IN_USE,
        lambda r, s, g: r.associate(s.associate("slave", g, master="master", deadline_unix_s=s.deadline_unix_s + 1)),
    ),
    Refusal(
        "associate_with_another_group_too",
        Reason.OBJECT_ID_IN_USE,
        lambda r, s, _: r.associate(s.associate("slave", s.gid_of("other-master"), master="other-master")),
    ),
    Refusal(
        "associate_master_with_own_group",
        Reason.OBJECT_ID_IN_USE,
        lambda r, s, g: r.associate(s.associate("master", g, master="master")),
    ),
    Refusal(
        "associate_with_key_rotated_away",
        Reason.OBJECT_ID_IN_USE,
        lambda r, s, g: r.associate(s.associate("rotated", g, master="master")),
    ),
    Refusal(
        "associate_revoked_again",
        Reason.OBJECT_REVOKED,
        lambda r, s, g: r.associate(s.associate("revoked", g, master="master")),
    ),
    Refusal(
        "associate_with_key_rotated_to",
        Reason.ADDRESS_IN_USE,
        lambda r, s, g: r.associate(s.associate("rotated-new", g, master="master")),
    ),
    Refusal(
        "associate_with_unknown_group",
        Reason.UNKNOWN_GROUP,
        lambda r, s, _: r.associate(s.associate("new", NO_GROUP, master="master")),
    ),
    Refusal(
        "associate_with_other_masters_token",
        Reason.TOKEN_REFUSED,
        lambda r, s, g: r.associate(s.associate("new", g, master="other-master")),
    ),
    Refusal(
        "associate_with_token_for_other_group",
        Reason.TOKEN_REFUSED,
        lambda r, s, g: r.associate(
            s.associate(
                "new",
                g,
                master="master",
                token=issue_token(key_of("master"), s.gid_of("other-master"), address_of("new")),
            )
        ),
    ),
    Refusal(
        "associate_with_stolen_token",
        Reason.TOKEN_REFUSED,
        lambda r, s, g: r.associate(
            s.associate("thief", g, master="master", token=issue_token(key_of("master"), g, address_of("new")))
        ),
    ),
    Refusal(
        "associate_with_other_deadline_than_signed",
        Reason.TOKEN_REFUSED,
        lambda r, s, g: r.associate(
            replace(s.associate("new", g, master="master"), deadline_unix_s=s.deadline_unix_s + 1)
        ),
    ),
]

REVOKE = [
    Refusal(
        "revoke_after_deadline",
        Reason.DEADLINE_PASSED,
        lambda r, s, g: r.revoke(s.revoke(g, oid_of("slave"), signer="master", deadline_unix_s=LONG_AGO_UNIX_S)),
    ),
    Refusal(
        "revoke_in_unknown_group",
        Reason.UNKNOWN_GROUP,
        lambda r, s, _: r.revoke(s.revoke(NO_GROUP, oid_of("slave"), signer="master")),
    ),
    Refusal(
        "revoke_unknown_object", Reason.UNKNOWN_OBJECT, lambda r, s, g: r.revoke(s.revoke(g, NOBODY, signer="master"))
    ),
    Refusal(
        "revoke_slave_of_other_group",
        Reason.NOT_IN_GROUP,
        lambda r, s, g: r.revoke(s.revoke(g, oid_of("other-slave"), signer="master")),
    ),
    Refusal(
        "revoke_twice",
        Reason.OBJECT_REVOKED,
        lambda r, s, g: r.revoke(
            s.revoke(g, oid_of("revoked"), signer="master", deadline_unix_s=s.deadline_unix_s + 1)
        ),
    ),
    Refusal(
        "revoke_master", Reason.NOT_A_SLAVE, lambda r, s, g: r.revoke(s.revoke(g, oid_of("master"), signer="master"))
    ),
    Refusal(
        "revoke_signed_by_slave",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.revoke(s.revoke(g, oid_of("slave"), signer="slave")),
    ),
    Refusal(
        "revoke_signed_by_other_master",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.revoke(s.revoke(g, oid_of("slave"), signer="other-master")),
    ),
]

ROTATE = [
    Refusal(
        "rotate_after_deadline",
        Reason.DEADLINE_PASSED,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("slave"), old="slave", new="new", deadline_unix_s=LONG_AGO_UNIX_S)),
    ),
    Refusal(
        "rotate_to_zero_address",
        Reason.ZERO_ADDRESS,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("slave"), old="slave", new="new", new_address=ZERO_ADDRESS)),
    ),
    Refusal(
        "rotate_in_unknown_group",
        Reason.UNKNOWN_GROUP,
        lambda r, s, _: r.rotate(s.rotate(NO_GROUP, oid_of("slave"), old="slave", new="new")),
    ),
    Refusal(
        "rotate_unknown_object",
        Reason.UNKNOWN_OBJECT,
        lambda r, s, g: r.rotate(s.rotate(g, NOBODY, old="slave", new="new")),
    ),
    Refusal(
        "rotate_slave_of_other_group",
        Reason.NOT_IN_GROUP,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("other-slave"), old="other-slave", new="new")),
    ),
    Refusal(
        "rotate_revoked",
        Reason.OBJECT_REVOKED,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("revoked"), old="revoked", new="new")),
    ),
    Refusal(
        "rotate_master_as_slave",
        Reason.NOT_A_SLAVE,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("master"), old="master", new="new")),
    ),
    Refusal(
        "rotate_to_other_slaves_address",
        Reason.ADDRESS_IN_USE,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("slave"), old="slave", new="other-slave")),
    ),
    Refusal(
        "rotate_to_address_rotated_to",
        Reason.ADDRESS_IN_USE,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("slave"), old="slave", new="rotated-new")),
    ),
    Refusal(
        "rotate_back_to_first_address",
        Reason.ADDRESS_IN_USE,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("rotated"), old="rotated-new", new="rotated")),
    ),
    Refusal(
        "rotate_without_old_key",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("slave"), old="thief", new="new")),
    ),
    Refusal(
        "rotate_with_key_rotated_away",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("rotated"), old="rotated", new="new")),
    ),
    Refusal(
        "rotate_without_new_key",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.rotate(s.rotate(g, oid_of("slave"), old="slave", new="thief", new_address=address_of("new"))),
    ),
]

ROTATE_MASTER = [
    Refusal(
        "rotate_master_after_deadline",
        Reason.DEADLINE_PASSED,
        lambda r, s, g: r.rotate_master(s.rotate_master(g, old="master", new="new", deadline_unix_s=LONG_AGO_UNIX_S)),
    ),
    Refusal(
        "rotate_master_to_zero_address",
        Reason.ZERO_ADDRESS,
        lambda r, s, g: r.rotate_master(s.rotate_master(g, old="master", new="new", new_address=ZERO_ADDRESS)),
    ),
    Refusal(
        "rotate_master_of_unknown_group",
        Reason.UNKNOWN_GROUP,
        lambda r, s, _: r.rotate_master(s.rotate_master(NO_GROUP, old="master", new="new")),
    ),
    Refusal(
        "rotate_master_to_slaves_address",
        Reason.ADDRESS_IN_USE,
        lambda r, s, g: r.rotate_master(s.rotate_master(g, old="master", new="slave")),
    ),
    Refusal(
        "rotate_master_to_own_address",
        Reason.ADDRESS_IN_USE,
        lambda r, s, g: r.rotate_master(s.rotate_master(g, old="master", new="master")),
    ),
    Refusal(
        "rotate_master_without_old_key",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.rotate_master(s.rotate_master(g, old="other-master", new="new")),
    ),
    Refusal(
        "rotate_master_without_new_key",
        Reason.BAD_SIGNATURE,
        lambda r, s, g: r.rotate_master(s.rotate_master(g, old="master", new="thief", new_address=address_of("new"))),
    ),
]


def _exchange_refusals(verb: str, act: Callable[[GroupRegistry], Callable[..., Awaitable[object]]]) -> list[Refusal]:
    """Algorithm 3's refusals, which verify_exchange and record_exchange share."""

    def refusal(name: str, reason: Reason, sender: ObjectId, receiver: ObjectId, **changes: object) -> Refusal:
        def attempt(registry: GroupRegistry, sign: Signers, gid: GroupId) -> Awaitable[object]:
            arguments = {"signer": "slave", "epoch": EPOCH} | changes
            group = arguments.pop("gid", gid)
            return act(registry)(sign.exchange(group, sender, receiver, **arguments))  # type: ignore[arg-type]

        return Refusal(f"{verb}_{name}", reason, attempt)

    slave, master = oid_of("slave"), oid_of("master")
    return [
        refusal("from_unknown_object", Reason.UNKNOWN_OBJECT, NOBODY, master),
        refusal("to_unknown_object", Reason.UNKNOWN_OBJECT, slave, NOBODY),
        refusal("from_revoked", Reason.OBJECT_REVOKED, oid_of("revoked"), master, signer="revoked"),
        refusal("to_revoked", Reason.OBJECT_REVOKED, slave, oid_of("revoked")),
        refusal("in_unknown_group", Reason.UNKNOWN_GROUP, slave, master, gid=NO_GROUP),
        refusal("from_other_group", Reason.NOT_IN_GROUP, oid_of("other-slave"), master, signer="other-slave"),
        refusal("to_other_group", Reason.NOT_IN_GROUP, slave, oid_of("other-slave")),
        refusal("under_old_epoch", Reason.STALE_EPOCH, slave, master, epoch=EPOCH - 1),
        refusal("under_epoch_to_come", Reason.STALE_EPOCH, slave, master, epoch=EPOCH + 1),
        refusal("signed_by_another", Reason.BAD_SIGNATURE, slave, master, signer="master"),
        refusal("signed_by_key_rotated_away", Reason.BAD_SIGNATURE, oid_of("rotated"), master, signer="rotated"),
    ]


EXCHANGE = [
    *_exchange_refusals("verify_exchange", lambda registry: registry.verify_exchange),
    *_exchange_refusals("record_exchange", lambda registry: registry.record_exchange),
    Refusal(
        "record_exchange_with_seq_above_56_bits",
        Reason.BAD_RANGE,
        lambda r, s, g: r.record_exchange(
            s.exchange(g, oid_of("slave"), oid_of("master"), signer="slave", seq=RECORD_SEQ_LIMIT, epoch=EPOCH)
        ),
    ),
    Refusal(
        "record_exchange_with_seq_zero",
        Reason.SEQ_NOT_RISING,
        lambda r, s, g: r.record_exchange(
            s.exchange(g, oid_of("slave"), oid_of("master"), signer="slave", seq=0, epoch=EPOCH)
        ),
    ),
]

ANCHOR = [
    Refusal(
        "anchor_range_that_ends_before_it_begins",
        Reason.BAD_RANGE,
        lambda r, s, g: r.anchor(s.anchor(g, signer="master", from_record=2, to_record=1)),
    ),
    Refusal(
        "anchor_in_unknown_group", Reason.UNKNOWN_GROUP, lambda r, s, _: r.anchor(s.anchor(NO_GROUP, signer="master"))
    ),
    Refusal("anchor_signed_by_slave", Reason.BAD_SIGNATURE, lambda r, s, g: r.anchor(s.anchor(g, signer="slave"))),
]

REFUSALS = [*CREATE_GROUP, *ASSOCIATE, *REVOKE, *ROTATE, *ROTATE_MASTER, *EXCHANGE, *ANCHOR]
