"""Files that somebody may have damaged or written by hand: settings, recordings, a device's state, results."""

import hashlib
import json
import tempfile
import zlib
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Final

from chain_gateway.deployment import read_deployment
from chain_gateway.service.config_sources import load_config as load_gateway_config
from group_protocol.errors import ConfigurationError, StoreError
from group_protocol.identifiers import ObjectId
from group_protocol.senml import Reading
from master_api.backups.manifest import parse_manifest
from master_api.config_sources import CONFIG_FILE_NAME as MASTER_SETTINGS
from master_api.config_sources import load_config as load_master_config
from measure.errors import MeasurementError
from measure.fleet.parcels import unpack
from measure.results import read_results
from slave_client.buffer_file import BufferFile
from slave_client.buffer_salvage import read_salvageable
from slave_client.buffered_record import BufferLimits
from slave_client.config import load_config as load_slave_config
from slave_client.errors import KeyStoreError, SensorError
from slave_client.keystore import KeyStore, _checksum
from slave_client.sensors.catalogue import parse_sensor_text
from slave_client.sensors.replay import Recording, read_samples
from slave_client.state_directory import StateDirectory
from slave_client.status import read_status
from tests.support.seeded import SeededRandom

STORAGE_SECRET: Final = b"\x5a" * 32


@cache
def scratch() -> Path:
    """A folder for this process's files."""
    return Path(tempfile.mkdtemp(prefix="vgroup-fuzz-"))


def _write(name: str, raw: bytes) -> Path:
    path = scratch() / name
    path.write_bytes(raw)
    path.chmod(0o600)
    return path


def fuzz_settings(raw: bytes) -> None:
    """TOML of a master, of a gateway and of a slave."""
    path = _write(MASTER_SETTINGS, raw)
    with suppress(ConfigurationError):
        load_master_config(scratch(), environment={})
    with suppress(ConfigurationError):
        load_gateway_config(scratch(), environment={"VGROUP_GATEWAY_CONFIG": str(path)})
    with suppress(ConfigurationError):
        load_slave_config(state_dir=scratch(), config_file=path, options={}, environment={})
    text = raw.decode("utf-8", "surrogateescape")
    try:
        kind, values = parse_sensor_text(text)
    except ConfigurationError:
        return
    assert kind == kind.strip()
    assert all(values.values()) or not values


def fuzz_recordings(raw: bytes) -> None:
    """CSV; the first byte chooses how it is read."""
    if not raw:
        return
    recording = _RECORDINGS[raw[0] % len(_RECORDINGS)]
    path = _write("recording.csv", raw[1:])
    latest_s = 0.0
    try:
        for offset_s, _ in read_samples(Recording(path, *recording)):
            assert offset_s >= latest_s
            latest_s = offset_s
    except SensorError:
        return


_RECORDINGS: Final[tuple[tuple[str, str | None, str, float | None], ...]] = (
    ("1", None, "s", 100.0),
    ("value", None, "s", 100.0),
    ("2", "1", "ms", None),
    ("hr", "timer", "s", None),
    ("hr", "datetime", "clock", None),
)


def fuzz_state_files(raw: bytes) -> None:
    """JSON that a device, a gateway or a measurement left. The device's checksum is made right: it keeps nobody out."""
    for read in (read_deployment, read_results, read_status):
        try:
            read(_write("state.json", raw))
        except ConfigurationError:
            continue
    parcel = zlib.compress(raw)
    name = f"vgroup-measure/{hashlib.sha256(parcel).hexdigest()[:32]}/0/1"
    with suppress(MeasurementError):
        list(unpack([(ObjectId(bytes(16)), 1, [Reading(name, 0.0, parcel)])]))
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        fields.pop("check", None)
        raw = json.dumps(fields | {"check": _checksum(fields)}).encode()
    store = KeyStore(StateDirectory(scratch()))
    loads = {"device.json": store.load_keys, "candidate.json": store.load_candidate, "state.json": store.load_state}
    for name, load in loads.items():
        _write(name, raw)
        try:
            load()
        except KeyStoreError:
            continue


def fuzz_buffer_file(raw: bytes) -> None:
    """A slave's buffer, as a whole: a file of SQLite that was changed anywhere."""
    for leftover in scratch().glob("buffer.sqlite3*"):
        leftover.unlink()
    path = _write("buffer.sqlite3", raw)
    with suppress(StoreError), closing(BufferFile(path, STORAGE_SECRET, BufferLimits(), SeededRandom(1))) as buffer:
        for record in buffer.read_after(0, 100, 100_000):
            assert record.payload
        buffer.renumber_unsent(buffer.next_seq)
    list(read_salvageable(path, STORAGE_SECRET))


def fuzz_backup_manifests(raw: bytes) -> None:
    """What a backup says of itself; what is taken stays inside of the folder and is written as it was read."""
    try:
        manifest = parse_manifest(raw)
    except ConfigurationError:
        return
    for part in manifest.parts:
        assert (scratch() / part.name).resolve().is_relative_to(scratch().resolve())
    assert parse_manifest(manifest.to_json()) == manifest
