"""Anchors over the store, and what is found when the store is changed behind them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from group_protocol.errors import RefusedError, RegistryUnavailable, StoreError, VerificationError
from group_protocol.frames import Items
from group_protocol.identifiers import ObjectId
from group_protocol.merkle import compute_root
from group_protocol.record_proofs import RecordProof, parse_record_proof
from group_protocol.records import Item
from master_api import anchoring
from master_api.store import schema
from master_api.store.anchors import fetch_anchors, fetch_pending_anchors, make_leaves
from tests.support.failing_store import failing_commits
from tests.support.master_parts import Parts, device_key, make_intake, make_live

KEY, OTHER_KEY = device_key(5), device_key(6)


async def fill(parts: Parts) -> tuple[ObjectId, ObjectId]:
    """Records 1–2 signed, 3–5 under a checkpoint; 6–8 signed by another device."""
    oid, other = await parts.enrol(5), await parts.enrol(6)
    covered = [parts.unsigned(seq) for seq in (3, 4, 5)]
    items: tuple[Item, ...] = (
        parts.signed(KEY, oid, 1),
        parts.signed(KEY, oid, 2),
        *covered,
        parts.checkpoint(KEY, oid, *covered),
    )
    assert (await make_intake(parts).take(make_live(parts, oid), Items(items))).last_seq == 5
    await say(parts, other, 1, 2, 3)
    return oid, other


async def say(parts: Parts, other: ObjectId, *seqs: int) -> None:
    records = tuple(parts.signed(OTHER_KEY, other, seq) for seq in seqs)
    assert (await make_intake(parts).take(make_live(parts, other), Items(records))).last_seq == seqs[-1]


async def verify(parts: Parts) -> dict[str, Any]:
    report = await parts.operations.verify_records()
    anchors = report["anchors"]
    assert isinstance(anchors, dict)
    assert report["is_good"] == (anchors["is_good"] and not report["bad"])
    return anchors


def places(anchors: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [
        (item["first_record"], item["last_record"], item["problem"].split(":")[0].split(" ")[0])
        for item in anchors["findings"]
    ]


def change(parts: Parts, job: Callable[[Connection], object]) -> None:
    parts.store.write_now(job)


async def anchor(parts: Parts) -> list[tuple[int, int]]:
    return [(row.from_record, row.to_record) for row in await parts.service.anchoring.anchor()]


async def test_records_are_anchored_in_ranges_that_follow_each_other_and_empty_ones_are_not(parts: Parts) -> None:
    assert await anchor(parts) == []
    _, other = await fill(parts)
    assert await anchor(parts) == [(1, 8)]
    assert await anchor(parts) == []
    await say(parts, other, 4, 5)
    assert await anchor(parts) == [(9, 10)]
    on_chain = await parts.registry.fetch_anchors(parts.group.gid)
    assert [(event.from_record, event.to_record) for event in on_chain] == [(1, 8), (9, 10)]
    rows = parts.store.read_now(fetch_anchors)
    assert [row.transaction_hash for row in rows] == [event.at.transaction_hash for event in on_chain]
    anchors = await verify(parts)
    assert (anchors["anchored"], anchors["unanchored"], anchors["is_good"]) == (10, 0, True)


async def test_root_is_the_merkle_root_over_the_records_as_stored(parts: Parts) -> None:
    await fill(parts)
    await anchor(parts)
    (event,) = await parts.registry.fetch_anchors(parts.group.gid)
    leaves = parts.store.read_now(lambda connection: make_leaves(connection, parts.group.gid, 1))
    assert event.root == compute_root([leaf.leaf_hash for leaf in leaves])
    assert [leaf.number for leaf in leaves] == list(range(1, 9))


async def test_records_that_come_while_one_is_anchored_wait_for_the_next(parts: Parts) -> None:
    """Else a busy group would be anchored record by record, without end."""
    _, other = await fill(parts)
    send, seq = parts.registry.anchor, 3

    async def send_while_records_come(request: Any) -> Any:
        nonlocal seq
        seq += 1
        await say(parts, other, seq)
        return await send(request)

    parts.registry.anchor = send_while_records_come  # type: ignore[method-assign]
    assert await anchor(parts) == [(1, 8)]
    assert await anchor(parts) == [(9, 9)]


async def test_many_records_are_anchored_in_several_trees(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "RECORDS_PER_ANCHOR_MAX", 3)
    await fill(parts)
    assert await anchor(parts) == [(1, 3), (4, 6), (7, 8)]
    assert (await verify(parts))["anchored"] == 8


async def test_anchor_is_sent_when_the_chain_comes_back(parts: Parts) -> None:
    _, other = await fill(parts)
    parts.registry.is_reachable = False
    with pytest.raises(RegistryUnavailable):
        await anchor(parts)
    await say(parts, other, 4)
    status = await parts.service.anchoring.status()
    assert (status.anchored_through, status.waiting, status.pending) == (0, 9, 1)
    parts.registry.is_reachable = True
    assert await anchor(parts) == [(1, 8), (9, 9)]
    assert (await verify(parts))["is_good"]


async def test_anchor_that_was_sent_and_not_noted_is_recognised_after_a_crash(parts: Parts) -> None:
    await fill(parts)
    send = parts.registry.anchor

    async def send_and_lose_the_store(request: Any) -> Any:
        await send(request)
        raise StoreError("the machine went down")

    parts.registry.anchor = send_and_lose_the_store  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        await anchor(parts)
    parts.registry.anchor = send  # type: ignore[method-assign]
    assert len(parts.store.read_now(fetch_pending_anchors)) == 1
    restarted = anchoring.Anchoring(parts.context)
    assert [row.from_record for row in await restarted.anchor(finish_only=True)] == [1]
    assert len(await parts.registry.fetch_anchors(parts.group.gid)) == 1, "readers keep the first"
    anchors = await verify(parts)
    assert (anchors["anchors"], anchors["anchored"], anchors["is_good"]) == (1, 8, True)


async def test_store_that_fails_before_the_anchor_is_kept_sends_nothing(parts: Parts) -> None:
    await fill(parts)
    with failing_commits(parts.store), pytest.raises(StoreError):
        await anchor(parts)
    assert await parts.registry.fetch_anchors(parts.group.gid) == []
    assert await anchor(parts) == [(1, 8)]


RECORDS = schema.records
ALTERATIONS: list[dict[str, object]] = [
    {"payload_hash": b"x" * 32},
    {"receiver": b"r" * 16},
    {"seq": 77},
    {"epoch": 9},
    {"signature": b"s" * 64},
    {"sid": b"s" * 16},
    {"received_at_unix_s": 1.0},
]


@pytest.mark.parametrize("values", ALTERATIONS, ids=lambda values: next(iter(values)))
async def test_altered_record_is_named(parts: Parts, values: dict[str, object]) -> None:
    await fill(parts)
    await anchor(parts)
    change(parts, lambda connection: connection.execute(update(RECORDS).where(RECORDS.c.number == 7).values(values)))
    anchors = await verify(parts)
    assert places(anchors) == [(7, 7, "altered")]
    assert anchors["anchored"] == 7


async def test_removed_record_is_named_whether_first_last_or_between(parts: Parts) -> None:
    await fill(parts)
    await anchor(parts)
    change(parts, lambda connection: connection.execute(delete(RECORDS).where(RECORDS.c.number.in_([1, 4, 8]))))
    assert places(await verify(parts)) == [(1, 1, "removed"), (4, 4, "removed"), (8, 8, "removed")]


async def test_reordered_records_are_named_with_the_place_where_each_belongs(parts: Parts) -> None:
    await fill(parts)
    await anchor(parts)

    def swap(connection: Connection) -> None:
        for old, new in ((6, 1_000), (8, 6), (1_000, 8)):
            connection.execute(update(RECORDS).where(RECORDS.c.number == old).values(number=new))

    change(parts, swap)
    anchors = await verify(parts)
    assert places(anchors) == [(6, 6, "moved"), (8, 8, "moved")]
    assert "was anchored as record 8" in anchors["findings"][0]["problem"]
    assert "was anchored as record 6" in anchors["findings"][1]["problem"]


async def test_record_slipped_into_an_anchored_range_is_named(parts: Parts) -> None:
    _, other = await fill(parts)
    await anchor(parts)

    def slip_in(connection: Connection) -> None:
        connection.execute(delete(RECORDS).where(RECORDS.c.number == 7))
        row = connection.execute(select(RECORDS).where(RECORDS.c.number == 8)).one()._asdict()
        connection.execute(insert(RECORDS).values(row | {"number": 7, "seq": 99}))

    change(parts, slip_in)
    assert places(await verify(parts)) == [(7, 7, "altered")]
    assert other


async def test_thief_who_alters_the_kept_leaves_too_is_found_by_the_chains_root(parts: Parts) -> None:
    await fill(parts)
    await anchor(parts)

    def alter(connection: Connection) -> None:
        connection.execute(update(RECORDS).where(RECORDS.c.number == 7).values(payload_hash=b"x" * 32))
        leaves = make_leaves(connection, parts.group.gid, 1)
        packed = b"".join(leaf.number.to_bytes(8, "big") + leaf.leaf_hash for leaf in leaves)
        root = compute_root([leaf.leaf_hash for leaf in leaves])
        connection.execute(update(schema.anchors).values(leaves=packed, root=root))

    change(parts, alter)
    anchors = await verify(parts)
    assert [place[:2] for place in places(anchors)] == [(1, 8), (1, 8)]
    assert "not on the chain" in anchors["findings"][1]["problem"]


async def test_anchor_deleted_with_its_records_is_still_on_the_chain(parts: Parts) -> None:
    await fill(parts)
    await anchor(parts)
    change(parts, lambda connection: connection.execute(delete(schema.anchors)))
    change(parts, lambda connection: connection.execute(delete(RECORDS).where(RECORDS.c.number > 5)))
    assert [place[:2] for place in places(await verify(parts))] == [(1, 8)]


async def test_record_removed_before_it_was_anchored_leaves_a_gap_unless_it_was_the_newest(parts: Parts) -> None:
    _, other = await fill(parts)
    await anchor(parts)
    await say(parts, other, 4, 5, 6)
    change(parts, lambda connection: connection.execute(delete(RECORDS).where(RECORDS.c.number == 10)))
    assert places(await verify(parts)) == [(10, 10, "removed")]
    change(parts, lambda connection: connection.execute(delete(RECORDS).where(RECORDS.c.number >= 9)))
    assert (await verify(parts))["is_good"], "what cannot be seen: the newest, not anchored yet"


async def prove(parts: Parts, record: str) -> RecordProof:
    import json  # noqa: PLC0415 - as the command writes it and the checker reads it

    return parse_record_proof(json.dumps(await parts.operations.prove_record(record)).encode())


@pytest.mark.parametrize("number", range(1, 9))
async def test_every_anchored_record_has_a_proof_that_holds(parts: Parts, number: int) -> None:
    oid, _ = await fill(parts)
    await anchor(parts)
    proof = await prove(parts, str(number))
    proof.verify_anchored()
    key = KEY if number <= 5 else OTHER_KEY
    proof.verify_said(parts.group.domain, key.address)
    assert (proof.record.signature is None) == (number in (3, 4, 5))
    if number <= 5:
        assert proof == await prove(parts, f"{oid.hex()}/{number}")


async def test_proof_with_anything_altered_does_not_hold(parts: Parts) -> None:
    await fill(parts)
    await anchor(parts)
    good, covered = await prove(parts, "7"), await prove(parts, "4")
    assert covered.checkpoint is not None
    period = covered.checkpoint.records
    lies = [
        replace(good, payload=b"x"),
        replace(good, index=5),
        replace(good, path=good.path[:-1]),
        replace(good, record=replace(good.record, seq=9)),
        replace(good, record=replace(good.record, number=9)),
        replace(good, anchor=replace(good.anchor, root=b"r" * 32)),
        replace(covered, checkpoint=None),
        replace(covered, checkpoint=replace(covered.checkpoint, records=period[:1])),
        replace(covered, checkpoint=replace(covered.checkpoint, records=period[::-1])),
        replace(covered, checkpoint=replace(covered.checkpoint, records=(*period, replace(period[0], seq=9)))),
    ]
    for lie in lies:
        signer = OTHER_KEY.address if lie.record.sender == good.record.sender else KEY.address
        with pytest.raises(VerificationError):
            _hold(lie, parts, signer)
    with pytest.raises(VerificationError):
        good.verify_said(parts.group.domain, KEY.address)


def _hold(proof: RecordProof, parts: Parts, signer: Any) -> None:
    proof.verify_anchored()
    proof.verify_said(parts.group.domain, signer)


async def test_record_without_anchor_or_checkpoint_or_name_has_no_proof(parts: Parts) -> None:
    oid, _ = await fill(parts)
    with pytest.raises(RefusedError, match="not anchored yet"):
        await prove(parts, "1")
    ack = await make_intake(parts).take(make_live(parts, oid), Items((parts.unsigned(6),)))
    assert ack.last_seq == 6
    await anchor(parts)
    with pytest.raises(RefusedError, match="no checkpoint"):
        await prove(parts, f"{oid.hex()}/6")
    with pytest.raises(RefusedError, match="no record"):
        await prove(parts, "99")
    change(parts, lambda connection: connection.execute(update(RECORDS).where(RECORDS.c.number == 7).values(epoch=2)))
    with pytest.raises(RefusedError, match="not the one that was anchored"):
        await prove(parts, "7")
