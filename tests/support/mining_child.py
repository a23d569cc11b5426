"""A process that mines and tells what was acknowledged, until it is killed.

Its file of acknowledgements gets one line per fact, each in a single ``write``: what is in the file was seen by this
process before it died.
"""

import asyncio
import os
import time
from pathlib import Path

from web3 import AsyncWeb3

from chain_gateway.embedded import open_embedded_chain
from tests.support.recorder_contract import CREATION, signed

CHAIN_ID = 1337
TOGETHER = 3
"""Every second step sends this many transactions at once, so that blocks of several are cut off too."""


def mine_until_killed(directory: Path, acknowledgements: Path) -> None:
    """Open the chain and send transactions for ever."""
    asyncio.run(_mine(directory, acknowledgements))


async def _mine(directory: Path, acknowledgements: Path) -> None:
    file = os.open(acknowledgements, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    chain = open_embedded_chain(directory, chain_id=CHAIN_ID, now_unix_s=lambda: int(time.time()))
    os.write(file, f"open {chain.relayer.address}\n".encode())
    web3 = AsyncWeb3(chain.provider)
    tx_nonce: int = await web3.eth.get_transaction_count(chain.relayer.address)
    if tx_nonce == 0:
        creation = signed(chain.relayer, chain_id=CHAIN_ID, tx_nonce=0, payload=CREATION, gas=300_000)
        await web3.eth.send_raw_transaction(creation)
        tx_nonce = 1
    first = await web3.eth.get_block(1, full_transactions=False)
    receipt = await web3.eth.get_transaction_receipt(first["transactions"][0])  # type: ignore[arg-type]
    contract = bytes.fromhex(str(receipt["contractAddress"])[2:])
    while True:
        count = TOGETHER if tx_nonce % 2 else 1
        words = range(tx_nonce, tx_nonce + count)
        raws = [
            signed(chain.relayer, chain_id=CHAIN_ID, tx_nonce=word, to=contract, payload=word.to_bytes(32, "big"))
            for word in words
        ]
        hashes = await asyncio.gather(*(web3.eth.send_raw_transaction(raw) for raw in raws))
        for word, transaction_hash in zip(words, hashes, strict=True):
            os.write(file, f"mined {word} {transaction_hash.hex()} {contract.hex()}\n".encode())
        tx_nonce += count
