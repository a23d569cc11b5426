"""The laptop's side: reads the results that its master has stored, and puts the machines side by side."""

from collections.abc import Sequence

from sqlalchemy import Connection

from group_protocol.senml import decode_readings
from master_api.store.devices import fetch_devices
from master_api.store.records import iterate_records
from measure.fleet.parcels import Arrived, unpack
from measure.report.figures import ABSENT, show_mean, show_ratio
from measure.report.tables import Table
from measure.table2.operations import OURS, THEIRS
from measure.table2.tables import OPERATIONS, QUANTITIES, ratio_of


def fetch_arrived(connection: Connection) -> list[Arrived]:
    """Every complete result in the store. Raises MeasurementError for pieces that are none."""
    records = (
        (record.oid, record.seq, decode_readings(record.payload)) for record in iterate_records(connection, None)
    )
    return list(unpack(records))


def fetch_names(connection: Connection) -> dict[bytes, str]:
    """Devices' names by object id."""
    return {bytes(device.oid): device.name for device in fetch_devices(connection)}


def fleet_table(arrived: Sequence[Arrived], names: dict[bytes, str]) -> Table:
    """Table 2, a column per machine: ours, then the ratio to the paper's protocol on the same machine."""
    rows = []
    for quantity, unit in QUANTITIES:
        for operation in OPERATIONS:
            pairs = [[one.results.find(system, operation, quantity) for system in (OURS, THEIRS)] for one in arrived]
            rows.append((f"{operation}, {unit}", *(show_mean(ours) for ours, _ in pairs)))
            if quantity == "time":
                ratios = (show_ratio(ratio_of(ours, theirs), ours) if ours else ABSENT for ours, theirs in pairs)
                rows.append((f"… over the paper's protocol ({operation})", *ratios))
    titles = [f"{names.get(bytes(one.oid), one.oid.hex()[-4:])}: {one.results.machine.title}" for one in arrived]
    probes = [one.results.probe.detail if one.results.probe else "no probe" for one in arrived]
    return Table(
        "Table 2, machine by machine: ours",
        ("Preparing a", *titles),
        tuple(rows),
        notes=(
            "Each column came as signed records of that device, over the group's own channel.",
            *(f"{title}: {probe}" for title, probe in zip(titles, probes, strict=True)),
        ),
    )
