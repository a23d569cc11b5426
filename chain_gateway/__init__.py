"""The group's public register on an Ethereum chain: the GroupRegistry port over an embedded chain or a node by URL.

The names below are imported when they are asked for: whoever reaches a register through a remote gateway
(:mod:`chain_gateway.remote`) has neither web3 nor an EVM in memory.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chain_gateway.late_pairings import defer_pairings

if TYPE_CHECKING:
    from chain_gateway.composition import (
        Connection,
        deploy,
        follow_contract,
        known_deployment,
        open_connection,
        open_registry,
    )
    from chain_gateway.config import EMBEDDED_CHAIN_ID, GATEWAY_FOLDER, GatewayConfig, ReplicaTimes, SenderTimes
    from chain_gateway.deployment import Deployment
    from chain_gateway.registry import Web3Registry

__all__ = [
    "EMBEDDED_CHAIN_ID",
    "GATEWAY_FOLDER",
    "Connection",
    "Deployment",
    "GatewayConfig",
    "ReplicaTimes",
    "SenderTimes",
    "Web3Registry",
    "deploy",
    "follow_contract",
    "known_deployment",
    "open_connection",
    "open_registry",
]

defer_pairings()

_HOMES = {
    "config": {"EMBEDDED_CHAIN_ID", "GATEWAY_FOLDER", "GatewayConfig", "ReplicaTimes", "SenderTimes"},
    "deployment": {"Deployment"},
    "registry": {"Web3Registry"},
    "composition": {
        "Connection",
        "deploy",
        "follow_contract",
        "known_deployment",
        "open_connection",
        "open_registry",
    },
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever it is
    """PEP 562: a name of ``__all__`` from its own module."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"chain_gateway.{home}"), name)
    raise AttributeError(f"module 'chain_gateway' has no attribute {name!r}")
