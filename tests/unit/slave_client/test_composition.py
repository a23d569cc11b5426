"""The slave's parts are put together; what was opened is closed again when a later part cannot be."""

import threading
from pathlib import Path

import pytest

from group_protocol.errors import StoreError
from group_protocol.identifiers import Address
from slave_client.composition import RunFiles, run
from slave_client.config import SlaveConfig
from slave_client.device_state import DeviceState, JoinStep
from slave_client.keystore import KeyStore
from slave_client.state_directory import StateDirectory
from tests.support.seeded import SeededRandom


def pair(folder: Path) -> None:
    with StateDirectory(folder) as directory:
        store = KeyStore(directory)
        store.make_keys(SeededRandom(1))
        store.store_state(DeviceState(JoinStep.PAIRED, Address(b"m" * 20), "localhost", 1, b"c" * 16))


async def test_buffer_is_closed_when_the_inbox_cannot_be_opened(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    pair(folder)
    (folder / "inbox.db").mkdir()
    with pytest.raises(StoreError):
        await run(SlaveConfig(folder), RunFiles(), ends_with_sensors=False, report=lambda _: None)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("buffer")]
    assert not (folder / "buffer.db-wal").exists(), "the buffer's WAL is folded into its file"
