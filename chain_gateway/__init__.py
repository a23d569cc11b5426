"""The group's public register on an Ethereum chain: the GroupRegistry port over an embedded chain or a node by URL."""

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
