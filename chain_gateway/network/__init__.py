"""A proof-of-authority network of real geth nodes: made, started, watched, and changed by ``vgroup chain``.

The nodes are programs that this project did not write (``docs/adr/0018-chain-network.md``). What is here writes their
keys, genesis and start scripts into one folder and asks them how they are, over their Unix sockets.
"""

from chain_gateway.network.health import NetworkHealth, NodeHealth, fetch_health
from chain_gateway.network.layout import NetworkLayout, NodeFolder
from chain_gateway.network.lifecycle import ChainNetwork, NewNetwork

__all__ = ["ChainNetwork", "NetworkHealth", "NetworkLayout", "NewNetwork", "NodeFolder", "NodeHealth", "fetch_health"]
