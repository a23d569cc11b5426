import csv
import io
import json
from dataclasses import replace

import pytest

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import (
    ConfigurationError,
    ContractRefusal,
    Reason,
    RefusedError,
    RegistryInconsistent,
    RegistryUnavailable,
    StoreError,
    VirtualGroupError,
)
from group_protocol.frames import Items
from group_protocol.pairing import parse_pairing_string
from group_protocol.records import sign_record
from group_protocol.senml import Reading, encode_readings
from master_api.admin_protocol import OPERATIONS, error_from_json, error_to_json, run_operation
from master_api.audit import AuditBroken
from master_api.config import MasterConfig
from master_api.export import export_csv
from master_api.operations import Endpoint
from master_api.public_endpoint import public_endpoint
from master_api.store.invitations import fetch_invitations
from tests.support.master_parts import MASTER_KEY, Parts, device_key, make_intake, make_live, make_parts

KEY = device_key(5)


async def test_results_are_plain_json(parts: Parts) -> None:
    await parts.enrol(5)
    for name, arguments in (
        ("group.show", {}),
        ("device.invite", {"name": "bed 9"}),
        ("device.list", {}),
        ("records.verify", {}),
        ("audit.verify", {}),
        ("master.status", {}),
        ("device.revoke", {"device": "bed 5"}),
    ):
        result = await run_operation(parts.operations, name, arguments)
        assert json.loads(json.dumps(result)) == result, name


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("group.destroy", {}),
        ("group.show", {"extra": 1}),
        ("group.create", {}),
        ("device.list", []),
        ("device.list", None),
        ("__init__", {}),
    ],
)
async def test_unknown_operation_or_argument_is_refused(parts: Parts, name: str, arguments: object) -> None:
    with pytest.raises(ConfigurationError):
        await run_operation(parts.operations, name, arguments)


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("a", remedy="b", code=ErrorCode.FILE_EXISTS),
        RefusedError(Reason.UNKNOWN_OBJECT, "a", remedy="b"),
        ContractRefusal(Reason.TOKEN_REFUSED),
        RegistryUnavailable("a"),
        RegistryInconsistent("a"),
        StoreError("a"),
        AuditBroken(7, "it is missing"),
        VirtualGroupError("a"),
    ],
)
def test_error_survives_the_socket(error: VirtualGroupError) -> None:
    again = error_from_json(json.loads(json.dumps(error_to_json(error))))
    assert type(again) is type(error)
    assert (str(again), again.remedy) == (str(error), error.remedy)
    assert again.code is error.code
    assert getattr(again, "reason", None) == getattr(error, "reason", None)
    assert getattr(again, "number", None) == getattr(error, "number", None)


def test_error_of_a_newer_master_with_an_unknown_code_keeps_its_words() -> None:
    again = error_from_json(error_to_json(StoreError("a", remedy="b")) | {"code": "not-known-here"})
    assert (str(again), again.remedy, again.code) == ("a", "b", ErrorCode.STORE_FAILED)


async def test_second_group_is_refused(parts: Parts) -> None:
    with pytest.raises(RefusedError, match="has its group already"):
        await parts.operations.create_group("another")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65, "\x1b[31m"])
async def test_bad_name_is_refused(parts: Parts, name: str) -> None:
    with pytest.raises(RefusedError):
        await parts.operations.invite_device(name)


async def test_without_a_group_nobody_is_invited(tmp_path: object) -> None:
    parts = await make_parts(tmp_path, has_group=False)  # type: ignore[arg-type]
    with pytest.raises(RefusedError) as raised:
        await parts.operations.invite_device("bed 1")
    assert "vgroup group create" in raised.value.remedy
    await parts.close()


async def test_invitation_keeps_the_code_sealed_in_the_store(parts: Parts) -> None:
    invited = await parts.operations.invite_device("bed 1", host="ward.example", port=3001)
    pairing = parse_pairing_string(str(invited["pairing_string"]))
    assert (pairing.master, pairing.host, pairing.port) == (MASTER_KEY.address, "ward.example", 3001)
    (row,) = parts.store.read_now(fetch_invitations)
    assert pairing.code not in row.sealed_code
    assert len(row.sealed_code) == 32
    for entry in parts.context.config.data_dir.glob("master.sqlite3*"):
        assert pairing.code not in entry.read_bytes()


@pytest.mark.parametrize("wanted", ["bed 9", "", "00" * 16, "0x", "bed"])
async def test_revoking_a_device_that_is_not_there_is_refused(parts: Parts, wanted: str) -> None:
    await parts.enrol(5)
    with pytest.raises(RefusedError, match="no device"):
        await parts.operations.revoke_device(wanted)


async def test_name_of_two_devices_revokes_neither(parts: Parts) -> None:
    oid = await parts.enrol(5)
    row = (await parts.operations.list_devices())["devices"]
    assert isinstance(row, list)
    await parts.enrol(6)
    parts.store.write_now(lambda connection: connection.exec_driver_sql("UPDATE devices SET name = 'bed 5'"))
    with pytest.raises(RefusedError, match="2 devices"):
        await parts.operations.revoke_device("bed 5")
    assert (await parts.operations.revoke_device("0x" + oid.hex().upper()))["oid"] == oid.hex()


async def test_revoking_a_device_that_never_associated_is_refused_by_the_contract(parts: Parts) -> None:
    await parts.enrol(5, associated=False)
    with pytest.raises(ContractRefusal) as raised:
        await parts.operations.revoke_device("bed 5")
    assert raised.value.reason is Reason.UNKNOWN_OBJECT


async def test_export_gives_every_bit_of_the_numbers_back(parts: Parts) -> None:
    oid = await parts.enrol(5)
    readings = [
        Reading("ppg", 1_700_000_000.123456, 0.1 + 0.2, "1"),
        Reading("ppg", 1_700_000_000.2, -1e-300, "1"),
        Reading("note", 1_700_000_001.0, "a, b\n"),
        Reading("alarm", 1_700_000_002.0, True),
        Reading("raw", 1_700_000_003.0, b"\x01\xff"),
        Reading("steps", 1_700_000_004.0, None, None, 7.5),
    ]
    group = parts.group
    record = sign_record(KEY, group.domain, group.gid, oid, group.master_oid, 1, 1, encode_readings(readings))
    await make_intake(parts).take(make_live(parts, oid), Items((record,)))
    file = io.StringIO()
    assert parts.store.read_now(lambda connection: export_csv(connection, file)) == 6
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [float(row["time_unix_s"]) for row in rows] == [reading.time_s for reading in readings]
    assert [float(row["value"]) for row in rows[:2]] == [0.1 + 0.2, -1e-300]
    assert [row["value"] for row in rows[2:]] == ["a, b\n", "True", "01ff", ""]
    assert rows[0]["time"] == "2023-11-14T22:13:20.123456Z"
    assert (rows[5]["sum"], rows[0]["unit"], rows[0]["oid"], rows[0]["seq"]) == ("7.5", "1", oid.hex(), "1")


@pytest.mark.parametrize(
    ("host", "public_host", "named"),
    [("127.0.0.1", "", "127.0.0.1"), ("0.0.0.0", "ward.example", "ward.example"), ("::1", "", "::1")],  # noqa: S104
)
def test_pairing_string_names_the_configured_host(parts: Parts, host: str, public_host: str, named: str) -> None:
    config = replace(parts.context.config, host=host, public_host=public_host)
    assert public_endpoint(config, 3001) == Endpoint(named, 3001)


def test_every_operation_is_documented() -> None:
    assert all(operation.__doc__ for operation in OPERATIONS.values())


def test_settings_are_documented() -> None:
    assert MasterConfig.__doc__
