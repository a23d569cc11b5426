import pytest
from sqlalchemy import Connection, delete, update

from group_protocol.frames import Items
from group_protocol.identifiers import ObjectId
from group_protocol.records import Item
from master_api.store import schema
from tests.support.master_parts import Parts, device_key, make_intake, make_live

KEY = device_key(5)


async def fill(parts: Parts) -> ObjectId:
    """Records 1–2 signed, 3–5 under a checkpoint, 6–7 waiting."""
    oid = await parts.enrol(5)
    covered = [parts.unsigned(seq) for seq in (3, 4, 5)]
    items: tuple[Item, ...] = (
        parts.signed(KEY, oid, 1),
        parts.signed(KEY, oid, 2),
        *covered,
        parts.checkpoint(KEY, oid, *covered),
        parts.unsigned(6),
        parts.unsigned(7),
    )
    ack = await make_intake(parts).take(make_live(parts, oid), Items(items))
    assert ack.last_seq == 7
    return oid


async def verify(parts: Parts) -> tuple[object, object, object, list[tuple[int, int]]]:
    report = await parts.operations.verify_records()
    findings = report["findings"]
    assert isinstance(findings, list)
    places = [(finding["first_seq"], finding["last_seq"]) for finding in findings]
    return report["good"], report["waiting"], report["bad"], places


def change(parts: Parts, seq: int, **values: object) -> None:
    table = schema.records
    parts.store.write_now(
        lambda connection: connection.execute(update(table).where(table.c.seq == seq).values(**values))
    )


async def test_untouched_records_are_good_and_the_newest_wait(parts: Parts) -> None:
    await fill(parts)
    assert await verify(parts) == (5, 2, 0, [])


@pytest.mark.parametrize("column", ["payload", "payload_hash", "receiver", "epoch", "signature"])
async def test_altered_signed_record_is_named(parts: Parts, column: str) -> None:
    await fill(parts)
    values = {"payload": b"\x80", "payload_hash": bytes(32), "receiver": bytes(16), "epoch": 9, "signature": bytes(64)}
    change(parts, 2, **{column: values[column]})
    assert await verify(parts) == (4, 2, 1, [(2, 2)])


async def test_record_whose_signature_was_taken_away_is_named(parts: Parts) -> None:
    await fill(parts)
    change(parts, 2, signature=None)
    assert await verify(parts) == (4, 2, 1, [(2, 2)])


async def test_altered_record_breaks_its_checkpoint(parts: Parts) -> None:
    await fill(parts)
    change(parts, 4, receiver=bytes(16))
    assert await verify(parts) == (2, 2, 3, [(3, 5)])


async def test_record_removed_from_a_checkpoint_breaks_it(parts: Parts) -> None:
    await fill(parts)
    parts.store.write_now(
        lambda connection: connection.execute(delete(schema.records).where(schema.records.c.seq == 4))
    )
    assert await verify(parts) == (2, 2, 2, [(3, 5)])


async def test_checkpoint_signed_by_another_key_is_named(parts: Parts) -> None:
    await fill(parts)
    table = schema.checkpoints
    forged = parts.checkpoint(device_key(77), only_oid(parts), *[parts.unsigned(seq) for seq in (3, 4, 5)])
    parts.store.write_now(lambda connection: connection.execute(update(table).values(signature=forged.signature)))
    assert await verify(parts) == (2, 2, 3, [(3, 5)])


def only_oid(parts: Parts) -> ObjectId:
    def first(connection: Connection) -> ObjectId:
        return ObjectId(connection.exec_driver_sql("SELECT oid FROM devices").scalar_one())

    return parts.store.read_now(first)


async def test_address_in_the_store_that_is_not_the_registrys_is_named(parts: Parts) -> None:
    await fill(parts)
    other = device_key(77).address
    parts.store.write_now(lambda connection: connection.execute(update(schema.device_keys).values(address=other)))
    good, _, bad, places = await verify(parts)
    assert (good, bad) == (0, 5)
    assert places[0] == (0, 0)


async def test_records_before_and_after_a_rotation_are_held_to_their_keys(parts: Parts) -> None:
    oid = await fill(parts)
    new_key = device_key(50)
    await parts.rotate(oid, KEY, new_key)
    await parts.service.follower.wait_for_device(oid, lambda device: device.address == new_key.address)
    ack = await make_intake(parts).take(make_live(parts, oid), Items((parts.signed(new_key, oid, 8, epoch=2),)))
    assert ack.last_seq == 8
    assert await verify(parts) == (6, 2, 0, [])


async def test_records_of_a_device_that_was_revoked_since_stay_good(parts: Parts) -> None:
    oid = await fill(parts)
    await parts.revoke(oid)
    assert await verify(parts) == (5, 2, 0, [])


async def test_numbers_under_which_nothing_is_stored_are_named_and_make_nothing_bad(parts: Parts) -> None:
    oid, late = await fill(parts), await parts.enrol(6)
    intake = make_intake(parts)
    await intake.take(make_live(parts, oid), Items((parts.signed(KEY, oid, 9),)))
    await intake.take(make_live(parts, late), Items((parts.signed(device_key(6), late, 2),)))
    report = await parts.operations.verify_records()
    gaps = report["gaps"]
    assert isinstance(gaps, list)
    assert {(gap["oid"], gap["first_seq"], gap["last_seq"]) for gap in gaps} == {(oid.hex(), 8, 8), (late.hex(), 1, 1)}
    assert (report["missing"], report["bad"], report["is_good"]) == (2, 0, True)
