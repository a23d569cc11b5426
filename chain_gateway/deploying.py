"""Deploying the contract, and checking that it is the one that stands there then."""

from chain_gateway.contract_check import check_contract
from chain_gateway.deployment import Deployment
from chain_gateway.node import ChainNode
from chain_gateway.relayer_pool import RelayerPool
from chain_gateway.sender import TransactionSender
from contracts import ContractArtifact
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import RegistryInconsistent
from group_protocol.ports import RegistryIdentity

DEPLOY_GAS_LIMIT = 6_000_000
"""Twice what the deployment uses (``docs/gas.md``), below EIP-7825's 2^24."""


async def deploy_contract(
    node: ChainNode, sender: TransactionSender | RelayerPool, artifact: ContractArtifact
) -> tuple[Deployment, int]:
    """Deploy the contract and check it; also the gas that it took.

    Raises:
        RegistryUnavailable: The node cannot be reached or does not take the transaction.
        RegistryInconsistent: Something else stands there afterwards.
    """
    receipt = await sender.send(None, artifact.creation_bytecode, DEPLOY_GAS_LIMIT)
    if not receipt.succeeded or receipt.contract is None:
        raise RegistryInconsistent(
            f"the deployment was reverted in block {receipt.block_number}",
            remedy="The chain may be older than the contract's EVM version, or allow less gas in a block.",
            code=ErrorCode.TRANSACTION_REFUSED,
        )
    identity = RegistryIdentity(await node.fetch_chain_id(), receipt.contract)
    await check_contract(node, artifact, identity)
    return Deployment(identity, receipt.block_number), receipt.gas_used
