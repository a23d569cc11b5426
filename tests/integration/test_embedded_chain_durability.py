"""The embedded chain against SIGKILL, and against its own length."""

import multiprocessing
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from eth._utils.address import generate_contract_address
from eth.vm.forks.london.transactions import UnsignedDynamicFeeTransaction
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from hexbytes import HexBytes
from web3 import AsyncWeb3
from web3.types import RPCEndpoint

from chain_gateway.embedded import EmbeddedChain, EmbeddedProvider, open_embedded_chain
from chain_gateway.embedded.archive import MAX_LOGS
from tests.support.mining_child import CHAIN_ID, mine_until_killed
from tests.support.recorder_contract import CREATION, GAS, RECORDED, signed

KILLS = 20
LONGEST_LIFE_S = 0.4
"""From the moment the child has its directory; long enough for some tens of blocks."""

LONG = 10_000
"""Transactions in the long chain: the size that the embedded chain must open in under 2 s."""

SINGLE_BLOCKS = 50
"""So many of them have a block each, at the chain's end."""

RELAYER_KEY = bytes(31) + b"\x07"
NOW_UNIX_S = 1_800_000_000


@dataclass(frozen=True)
class Acknowledged:
    """A transaction that the killed process had seen mined."""

    word: int
    transaction_hash: HexBytes
    contract: bytes


@pytest.mark.processes
async def test_chain_killed_at_any_instant_reopens_with_all_it_acknowledged(tmp_path: Path) -> None:
    seeded = random.Random(20)
    acknowledgements = tmp_path / "acknowledged"
    heads: list[int] = []
    checked = 0
    for kill in range(KILLS):
        # The first lives are the shortest: they are cut off while the chain is being created.
        life_s = seeded.uniform(0, LONGEST_LIFE_S * min(1, (kill + 1) / 5))
        _live_and_die(tmp_path / "chain", acknowledgements, life_s)
        known = _read_acknowledgements(acknowledgements)
        heads.append(await _check_reopened(tmp_path / "chain", known[checked:]))
        checked = len(known)
    assert heads == sorted(heads)
    assert heads[-1] > KILLS
    await _check_reopened(tmp_path / "chain", _read_acknowledgements(acknowledgements))


def _live_and_die(directory: Path, acknowledgements: Path, life_s: float) -> None:
    """Run the child for ``life_s`` from its first breath, then SIGKILL it. A fork server pays for the imports once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.mining_child"])
    child = context.Process(target=mine_until_killed, args=(directory, acknowledgements), daemon=True)
    child.start()
    _wait_until(directory.exists)
    time.sleep(life_s)
    child.kill()
    child.join()
    assert child.exitcode == -9, "the child ended by itself"


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("the child did not start")


def _read_acknowledgements(path: Path) -> list[Acknowledged]:
    lines = path.read_text().splitlines() if path.exists() else []
    fields = [line.split() for line in lines if line.startswith("mined ")]
    return [Acknowledged(int(word), HexBytes(tx), bytes.fromhex(contract)) for _, word, tx, contract in fields]


async def _check_reopened(directory: Path, acknowledged: list[Acknowledged]) -> int:
    """Everything acknowledged is there, the head is whole, and mining goes on; the head's number."""
    chain = open_embedded_chain(directory, chain_id=CHAIN_ID, now_unix_s=lambda: int(time.time()))
    try:
        web3 = AsyncWeb3(chain.provider)
        assert (chain._store.connection.execute("PRAGMA quick_check").fetchall()) == [("ok",)]
        head = await web3.eth.get_block("latest")
        recorded = await web3.eth.get_transaction_count(chain.relayer.address) - 1
        for each in acknowledged:
            receipt = await web3.eth.get_transaction_receipt(each.transaction_hash)
            assert (receipt["status"], len(receipt["logs"])) == (1, 1)
            assert receipt["blockNumber"] <= head["number"]
            stored = await web3.eth.get_storage_at(AsyncWeb3.to_checksum_address(each.contract), each.word)
            assert int.from_bytes(stored, "big") == (await web3.eth.get_block(receipt["blockNumber"]))["timestamp"]
        if acknowledged:
            await _check_head(web3, acknowledged[-1].contract, recorded)
        return int(head["number"])
    finally:
        chain.close()


async def _check_head(web3: AsyncWeb3[EmbeddedProvider], contract: bytes, recorded: int) -> None:
    """The head's state, its logs and the account's tx_nonce tell of the same number of transactions."""
    address = AsyncWeb3.to_checksum_address(contract)
    assert int.from_bytes(await web3.eth.call({"to": address}), "big") == recorded
    logs = await web3.eth.get_logs({"fromBlock": 0, "toBlock": "latest", "topics": [HexBytes(RECORDED)]})
    assert [int.from_bytes(log["topics"][1], "big") for log in logs] == list(range(1, recorded + 1))


class CountingConnection(sqlite3.Connection):
    """Counts the steps of SQLite's virtual machine: work done, whatever the machine's speed."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.steps = 0
        self.set_progress_handler(self._count, 1)

    def _count(self) -> int:
        self.steps += 1
        return 0


@pytest.fixture(scope="module")
def long_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("long"), LONG)


@pytest.fixture(scope="module")
def short_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("short"), SINGLE_BLOCKS)


def _build(directory: Path, length: int) -> Path:
    """A chain of ``length`` log-emitting transactions; all but the last SINGLE_BLOCKS share big blocks."""
    chain = _open(directory)
    miner = chain.provider._miner
    creation = signed(chain.relayer, chain_id=CHAIN_ID, tx_nonce=0, payload=CREATION, gas=300_000)
    miner.mine([creation])
    contract = generate_contract_address(Address(bytes.fromhex(chain.relayer.address[2:])), 0)
    raws = [_signed_fast(contract, tx_nonce) for tx_nonce in range(1, length + 1)]
    miner.mine(raws[:-SINGLE_BLOCKS])
    for raw in raws[-SINGLE_BLOCKS:]:
        miner.mine([raw])
    chain.close()
    return directory


def _signed_fast(contract: Address, tx_nonce: int) -> bytes:
    """As ``signed``, six times as fast."""
    unsigned = UnsignedDynamicFeeTransaction(
        chain_id=CHAIN_ID,
        nonce=tx_nonce,
        max_priority_fee_per_gas=0,
        max_fee_per_gas=0,
        gas=GAS,
        to=contract,
        value=0,
        data=tx_nonce.to_bytes(32, "big"),
        access_list=(),
    )
    return bytes(unsigned.as_signed_transaction(PrivateKey(RELAYER_KEY)).encode())


def _open(directory: Path) -> EmbeddedChain:
    return open_embedded_chain(directory, chain_id=CHAIN_ID, now_unix_s=lambda: NOW_UNIX_S, relayer_key=RELAYER_KEY)


@dataclass
class Counted:
    """A chain whose work in SQLite is counted."""

    chain: EmbeddedChain
    connection: CountingConnection

    async def steps_of(self, method: str, *params: Any) -> tuple[Any, int]:
        """The answer to a request, and the steps it took."""
        before = self.connection.steps
        answer = await self.chain.provider.make_request(RPCEndpoint(method), params)
        return answer["result"], self.connection.steps - before


@pytest.fixture
def open_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Counted]]:
    opened: list[EmbeddedChain] = []
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=CountingConnection))

    def open_it(directory: Path) -> Counted:
        chain = _open(directory)
        opened.append(chain)
        connection = chain._store.connection
        assert isinstance(connection, CountingConnection)
        return Counted(chain, connection)

    yield open_it
    for chain in opened:
        chain.close()


@pytest.mark.slow
def test_opening_a_chain_of_ten_thousand_is_no_more_work_than_a_short_one(
    long_chain: Path, short_chain: Path, open_counted: Callable[[Path], Counted]
) -> None:
    assert open_counted(long_chain).connection.steps <= 2 * open_counted(short_chain).connection.steps


@pytest.mark.slow
async def test_questions_to_a_chain_of_ten_thousand_are_no_more_work_than_to_a_short_one(
    long_chain: Path, short_chain: Path, open_counted: Callable[[Path], Counted]
) -> None:
    steps = []
    for directory in (long_chain, short_chain):
        counted = open_counted(directory)
        head, head_steps = await counted.steps_of("eth_blockNumber")
        newest = {"fromBlock": int(head, 16) - SINGLE_BLOCKS + 1, "toBlock": "latest"}
        logs, log_steps = await counted.steps_of("eth_getLogs", newest)
        assert len(logs) == SINGLE_BLOCKS
        receipt, receipt_steps = await counted.steps_of("eth_getTransactionReceipt", logs[0]["transactionHash"])
        assert receipt["logs"] == logs[:1]
        steps.append((head_steps, log_steps, receipt_steps))
    of_long, of_short = steps
    assert all(many <= 2 * few for many, few in zip(of_long, of_short, strict=True))


@pytest.mark.slow
async def test_chain_of_ten_thousand_answers_for_each_of_them(long_chain: Path) -> None:
    chain = _open(long_chain)
    try:
        web3 = AsyncWeb3(chain.provider)
        assert await web3.eth.get_transaction_count(chain.relayer.address) == LONG + 1
        logs = await web3.eth.get_logs({"fromBlock": 0, "toBlock": "latest"})
        assert [int.from_bytes(log["topics"][1], "big") for log in logs] == list(range(1, LONG + 1))
        assert len(logs) == MAX_LOGS
    finally:
        chain.close()
