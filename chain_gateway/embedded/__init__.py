"""An Ethereum chain inside this process: durable, one block per transaction, asked through web3."""

from chain_gateway.embedded.chain import EmbeddedChain, open_embedded_chain
from chain_gateway.embedded.errors import ChainClosed, ChainFileRefused, ChainIdMismatch, ChainLocked
from chain_gateway.embedded.provider import EmbeddedProvider

__all__ = [
    "ChainClosed",
    "ChainFileRefused",
    "ChainIdMismatch",
    "ChainLocked",
    "EmbeddedChain",
    "EmbeddedProvider",
    "open_embedded_chain",
]
