import logging
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from web3 import AsyncWeb3

from chain_gateway.embedded import (
    ChainClosed,
    ChainFileRefused,
    ChainIdMismatch,
    ChainLocked,
    EmbeddedChain,
    open_embedded_chain,
)
from chain_gateway.embedded.evm import EvmState
from chain_gateway.embedded.store import open_store

CHAIN_ID = 1337


def _open(path: Path, *, chain_id: int = CHAIN_ID, relayer_key: bytes | None = None) -> EmbeddedChain:
    return open_embedded_chain(path, chain_id=chain_id, now_unix_s=lambda: 1_800_000_000, relayer_key=relayer_key)


def test_second_opening_while_open_is_refused_and_names_the_holder(tmp_path: Path) -> None:
    chain = _open(tmp_path)
    with pytest.raises(ChainLocked, match=r"in use by process \d+") as refusal:
        _open(tmp_path)
    assert "Stop that process" in refusal.value.remedy
    chain.close()
    _open(tmp_path).close()


def test_failed_opening_gives_the_lock_back(tmp_path: Path) -> None:
    _open(tmp_path).close()
    with pytest.raises(ChainIdMismatch):
        _open(tmp_path, chain_id=CHAIN_ID + 1)
    _open(tmp_path).close()


def test_other_chain_id_than_at_creation_is_refused_with_both_named(tmp_path: Path) -> None:
    _open(tmp_path).close()
    with pytest.raises(ChainIdMismatch, match="has chain id 1337, not 1") as refusal:
        _open(tmp_path, chain_id=1)
    assert "1337" in refusal.value.remedy


def test_relayer_key_is_created_private_and_kept(tmp_path: Path) -> None:
    first = _open(tmp_path)
    first.close()
    key_file = tmp_path / "relayer.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    again = _open(tmp_path)
    assert again.relayer.address == first.relayer.address
    again.close()


def test_relayer_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    _open(tmp_path).close()
    (tmp_path / "relayer.key").chmod(0o640)
    with pytest.raises(ChainFileRefused, match="mode 0640") as refusal:
        _open(tmp_path)
    assert refusal.value.remedy.startswith("chmod 600")


@pytest.mark.parametrize("content", ["", "0x12", "zz" * 32, "00" * 32, "ff" * 32])
def test_relayer_key_file_without_a_key_is_refused(tmp_path: Path, content: str) -> None:
    key_file = tmp_path / "relayer.key"
    key_file.write_text(content)
    key_file.chmod(0o600)
    with pytest.raises(ChainFileRefused, match="does not hold a private key"):
        _open(tmp_path)


async def test_relayer_key_handed_in_is_used_and_not_written(tmp_path: Path) -> None:
    chain = _open(tmp_path, relayer_key=bytes(31) + b"\x09")
    assert await AsyncWeb3(chain.provider).eth.get_balance(chain.relayer.address) > 0
    assert not (tmp_path / "relayer.key").exists()
    chain.close()


def test_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    _open(tmp_path / "a" / "chain").close()
    assert stat.S_IMODE((tmp_path / "a" / "chain").stat().st_mode) == 0o700


def test_empty_file_left_by_a_crash_at_creation_becomes_a_chain(tmp_path: Path) -> None:
    (tmp_path / "chain.sqlite3").touch()
    _open(tmp_path).close()


def test_file_without_the_state_of_its_newest_block_is_refused(tmp_path: Path) -> None:
    _open(tmp_path).close()
    store = open_store(tmp_path / "chain.sqlite3")
    with store.transaction():
        del store.nodes[EvmState(store.nodes, CHAIN_ID).head().state_root]
    store.close()
    with pytest.raises(ChainFileRefused, match="does not hold the state"):
        _open(tmp_path)


def test_file_without_a_newest_block_is_refused(tmp_path: Path) -> None:
    _open(tmp_path).close()
    store = open_store(tmp_path / "chain.sqlite3")
    with store.transaction():
        store.connection.execute("DELETE FROM node")
    store.close()
    with pytest.raises(ChainFileRefused, match="no newest block"):
        _open(tmp_path)


def test_clock_behind_the_newest_block_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _open(tmp_path).close()
    with caplog.at_level(logging.WARNING):
        open_embedded_chain(tmp_path, chain_id=CHAIN_ID, now_unix_s=lambda: 1_799_000_000).close()
    assert "1000000 s behind" in caplog.text


async def test_request_after_close_raises_chain_closed(reopen: Callable[[], EmbeddedChain]) -> None:
    chain = reopen()
    web3 = AsyncWeb3(chain.provider)
    assert await web3.is_connected()
    chain.close()
    chain.close()
    assert not await web3.is_connected()
    with pytest.raises(ChainClosed):
        await web3.eth.block_number
