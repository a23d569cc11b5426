"""What an operator orders: done by the running master if there is one, else here."""

import asyncio
from collections.abc import Mapping

from master_api.admin_protocol import run_operation
from master_api.admin_socket import ask_master, is_served
from master_api.audit import AuditHead, AuditLog
from master_api.composition import open_service
from master_api.config import MasterConfig
from master_api.descriptions import JsonObject, describe_audit
from master_api.key_file import AskPassphrase
from master_api.key_slots import key_in_force, stored_key_in_force
from master_api.operations import Operations
from master_api.public_endpoint import public_endpoint
from master_api.store.store import Store
from system_ports.clock import SystemClock


async def operate(
    config: MasterConfig, name: str, arguments: Mapping[str, object], ask_passphrase: AskPassphrase
) -> JsonObject:
    """Do an operation: by the running master if there is one, else here.

    Raises:
        VirtualGroupError: What the operation raises.
    """
    if is_served(config.admin_socket):
        answer = await ask_master(config.admin_socket, name, arguments)
        if answer is not None:
            return answer
    key = await key_in_force(config, ask_passphrase)
    async with open_service(config, key) as service:
        operations = Operations(service, public_endpoint(config, config.port))
        return await run_operation(operations, name, arguments)


async def verify_audit(config: MasterConfig, head: str | None, ask_passphrase: AskPassphrase) -> JsonObject:
    """Verify the audit log: by the running master if there is one, else here, where it takes no chain.

    Raises:
        AuditBroken: It does not hold.
    """
    if is_served(config.admin_socket):
        answer = await ask_master(config.admin_socket, "audit.verify", {"head": head})
        if answer is not None:
            return answer
    return await asyncio.to_thread(_verify_audit_here, config, head, ask_passphrase)


def _verify_audit_here(config: MasterConfig, head: str | None, ask_passphrase: AskPassphrase) -> JsonObject:
    audit = AuditLog(stored_key_in_force(config, ask_passphrase), SystemClock())
    store = Store(config.resolved_store_url, may_create=False)
    try:
        return describe_audit(
            store.read_now(lambda connection: audit.verify(connection, AuditHead.parse_optional(head)))
        )
    finally:
        store.close()
