import asyncio
import sqlite3
import threading
from collections.abc import Iterator

import pytest
from hexbytes import HexBytes
from web3.exceptions import Web3RPCError
from web3.types import RPCEndpoint

from chain_gateway.embedded import EmbeddedChain
from tests.unit.chain_gateway.embedded.conftest import Recorder


@pytest.fixture
def held(chain: EmbeddedChain) -> Iterator[threading.Event]:
    """Keeps the chain's thread busy until the event is set."""
    release = threading.Event()
    chain.provider._thread.submit(release.wait)
    yield release
    release.set()


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


async def test_event_loop_stays_free_while_the_chain_is_busy(chain: EmbeddedChain, held: threading.Event) -> None:
    request = asyncio.create_task(chain.provider.make_request(RPCEndpoint("eth_blockNumber"), []))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not request.done()
    held.set()
    assert (await request)["result"] == "0x0"


async def test_transactions_that_wait_for_the_chain_share_a_block(recorder: Recorder) -> None:
    release = threading.Event()
    recorder.chain.provider._thread.submit(release.wait)
    raws = [recorder.transaction(_word(number)) for number in range(1, 6)]
    sending = [asyncio.create_task(recorder.web3.eth.send_raw_transaction(raw)) for raw in raws]
    for _ in range(20):
        await asyncio.sleep(0)
    release.set()
    hashes = await asyncio.gather(*sending)
    receipts = [await recorder.web3.eth.get_transaction_receipt(each) for each in hashes]
    assert [(receipt["blockNumber"], receipt["transactionIndex"]) for receipt in receipts] == [(2, i) for i in range(5)]


async def test_one_refused_among_those_that_wait_is_told_alone(recorder: Recorder) -> None:
    release = threading.Event()
    recorder.chain.provider._thread.submit(release.wait)
    good = recorder.transaction(_word(1))
    sending = [asyncio.create_task(recorder.web3.eth.send_raw_transaction(raw)) for raw in (b"\x02junk", good, good)]
    for _ in range(20):
        await asyncio.sleep(0)
    release.set()
    answers = await asyncio.gather(*sending, return_exceptions=True)
    assert [isinstance(answer, HexBytes) for answer in answers] == [False, True, False]
    assert "nonce too low" in str(answers[2])


async def test_sender_that_gives_up_does_not_take_its_transaction_back(recorder: Recorder) -> None:
    release = threading.Event()
    recorder.chain.provider._thread.submit(release.wait)
    sending = asyncio.create_task(recorder.web3.eth.send_raw_transaction(recorder.transaction(_word(1))))
    for _ in range(20):
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    release.set()
    assert await recorder.count() == 1


async def test_batch_request_answers_in_order(recorder: Recorder) -> None:
    raws = [recorder.transaction(_word(number)) for number in range(1, 4)]
    answers = await recorder.chain.provider.make_batch_request(
        [(RPCEndpoint("eth_chainId"), []), *((RPCEndpoint("eth_sendRawTransaction"), [raw]) for raw in raws)]
    )
    assert answers[0]["result"] == "0x539"
    assert [len(answer["result"]) for answer in answers[1:]] == [66] * 3
    assert await recorder.count() == 3


async def test_failing_file_is_answered_as_an_internal_error(recorder: Recorder) -> None:
    connection: sqlite3.Connection = recorder.chain._store.connection
    connection.execute("ALTER TABLE tx RENAME TO gone")
    with pytest.raises(Web3RPCError, match="-32603"):
        await recorder.record(1)
    connection.execute("ALTER TABLE gone RENAME TO tx")
    assert await recorder.count() == 0
    recorder.next_tx_nonce = 1
    await recorder.record(1)
    assert await recorder.count() == 1
