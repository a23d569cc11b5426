"""The master's key and, while it is being changed, the next one: which is in force, and how one follows the other.

``docs/protocol.md`` §3.5 and :mod:`master_api.key_rotation` say what is done; here are the files, and what a power cut
leaves of them.
"""

import asyncio
import functools
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from group_protocol.crypto.keys import PrivateKey
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.identifiers import Address
from master_api.admin_socket import is_served
from master_api.composition import open_service, require_known_to_gateway
from master_api.config import MasterConfig
from master_api.descriptions import JsonObject
from master_api.key_file import (
    AskPassphrase,
    create_key,
    discard_next_key,
    find_passphrase,
    promote_next_key,
    read_key,
    read_next_key,
    write_next_key,
)
from master_api.key_rotation import MasterKeyRotation, Outcome, describe_outcome
from master_api.store.groups import fetch_group
from master_api.store.store import Store
from system_ports.randomness import SystemRandom

_log = logging.getLogger("vgroup.master")


def open_key(config: MasterConfig, ask_passphrase: AskPassphrase) -> PrivateKey:
    """The master's key. Raises ConfigurationError."""
    return read_key(config.data_dir, lambda: find_passphrase(os.environ, config.passphrase_file, ask_passphrase))


async def key_in_force(config: MasterConfig, ask_passphrase: AskPassphrase) -> PrivateKey:
    """The master's key; the rest of a change of key that was interrupted is done here, if the contract has it.

    Raises:
        VirtualGroupError: What :func:`open_service` raises.
    """
    passphrase = _ask_once(ask_passphrase)
    key = open_key(config, passphrase)
    next_key = _open_next_key(config, passphrase)
    if next_key is None:
        return key
    async with _open_for_change(config, key, next_key) as rotation:
        if rotation is not None and not rotation.is_in_contract():
            _log.warning("a change of the master's key is not finished: vgroup master rotate-key")
            return key
        if rotation is not None:
            await rotation.settle()
    await asyncio.to_thread(promote_next_key, config.data_dir)
    return next_key


def stored_key_in_force(config: MasterConfig, ask_passphrase: AskPassphrase) -> PrivateKey:
    """The key under which the store goes on, without a chain. Raises ConfigurationError or StoreError."""
    passphrase = _ask_once(ask_passphrase)
    key, next_key = open_key(config, passphrase), _open_next_key(config, passphrase)
    return next_key if next_key is not None and _is_master_in_store(config, next_key.address) else key


async def rotate_master_key(config: MasterConfig, ask_passphrase: AskPassphrase, *, abandons: bool) -> JsonObject:
    """Change the master's key, or go on with a change that was interrupted, or give it up.

    Raises:
        ConfigurationError: The master runs, its key is no file, or its gateway does not know the new key.
        VirtualGroupError: What :class:`MasterKeyRotation` and :func:`open_service` raise.
    """
    if is_served(config.admin_socket):
        raise ConfigurationError(
            "the master is running",
            remedy="Stop it first: systemctl stop vgroup-master, or Ctrl-C.",
            code=ErrorCode.FOLDER_IN_USE,
        )
    passphrase = _ask_once(ask_passphrase)
    key, next_key = open_key(config, passphrase), _open_next_key(config, passphrase)
    if next_key is None:
        if abandons:
            raise ConfigurationError("no change of the master's key is under way", code=ErrorCode.ARGUMENT_WRONG)
        next_key = create_key(SystemRandom())
        await asyncio.to_thread(write_next_key, config.data_dir, next_key, lambda: _passphrase_of(config, passphrase))
    if not abandons:
        await require_known_to_gateway(config, next_key)
    outcome = Outcome.PROMOTED
    async with _open_for_change(config, key, next_key) as rotation:
        if rotation is not None:
            outcome = await (rotation.abandon() if abandons else rotation.run())
    if outcome is Outcome.PROMOTED:
        await asyncio.to_thread(promote_next_key, config.data_dir)
    elif outcome is Outcome.ROLLED_BACK:
        await asyncio.to_thread(discard_next_key, config.data_dir)
    return {
        "outcome": outcome.value,
        "old_master": "0x" + key.address.hex(),
        "new_master": "0x" + next_key.address.hex(),
        "meaning": describe_outcome(outcome, key.address, next_key.address),
    }


@asynccontextmanager
async def _open_for_change(
    config: MasterConfig, key: PrivateKey, next_key: PrivateKey
) -> AsyncIterator[MasterKeyRotation | None]:
    """A change of key to work on; None where the store has it already and only the key file is left to be replaced."""
    if await asyncio.to_thread(_is_master_in_store, config, next_key.address):
        yield None
        return
    async with open_service(config, key) as service:
        yield MasterKeyRotation(service.context, next_key)


def _is_master_in_store(config: MasterConfig, address: Address) -> bool:
    store = Store(config.resolved_store_url, may_create=False)
    try:
        return store.read_now(lambda connection: fetch_group(connection, address)) is not None
    finally:
        store.close()


def _ask_once(ask_passphrase: AskPassphrase) -> AskPassphrase:
    """Two key files are sealed under one passphrase, which nobody wants to type twice."""
    return functools.cache(ask_passphrase)


def _passphrase_of(config: MasterConfig, ask_passphrase: AskPassphrase) -> str:
    return find_passphrase(os.environ, config.passphrase_file, ask_passphrase)


def _open_next_key(config: MasterConfig, ask_passphrase: AskPassphrase) -> PrivateKey | None:
    return read_next_key(config.data_dir, lambda: _passphrase_of(config, ask_passphrase))
