"""Taking a pairing string: whose it is, and what becomes of what the device was before (``docs/protocol.md`` §3)."""

from dataclasses import replace

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.pairing import PairingString
from group_protocol.ports import Random
from slave_client.device_state import DeviceState, JoinStep
from slave_client.errors import KeyStoreError
from slave_client.keystore import KeyStore
from slave_client.loaded_device import LoadedDevice
from slave_client.succession import find_successor
from slave_client.transport import Transport


def take_pairing(store: KeyStore, pairing: PairingString, random: Random) -> LoadedDevice:
    """Put the pairing on the disk beside what is there: a finished join keeps its place and learns the new host.

    A string of another master may be that of our master's next key: where it leads is kept once that has proved itself.
    Blocking. Raises KeyStoreError.
    """
    state = store.load_state()
    if state is not None and state.step is JoinStep.REVOKED:
        store.set_aside()
        state = None
    keys = store.load_keys()
    if keys is None:
        if state is not None:
            raise KeyStoreError("the device's key is missing", remedy="Restore device.json, or pair anew.")
        keys = store.make_keys(random)
    if state is None:
        state = DeviceState(JoinStep.PAIRED, pairing.master, pairing.host, pairing.port, pairing.code)
    else:
        # A master that knows the device passes over the code. One that was put back from a backup pairs it anew.
        has_moved = (state.host, state.port) != (pairing.host, pairing.port)
        last_place = None if has_moved else state.last_place
        state = replace(state, host=pairing.host, port=pairing.port, code=pairing.code, last_place=last_place)
    if state.master == pairing.master:
        store.store_state(state)
    return LoadedDevice(store, keys, state)


async def require_master(device: DeviceState, pairing: PairingString) -> None:
    """The string is of our master, or of the one that came after it. Raises ConfigurationError: of another."""
    if pairing.master == device.master:
        return
    async with Transport(pairing.host, pairing.port) as transport:
        if pairing.master == await find_successor(transport, device):
            return
    raise ConfigurationError(
        f"this device belongs to another master (0x{device.master.hex()})",
        remedy="Use another --state-dir for another group.",
        code=ErrorCode.PAIRED_ELSEWHERE,
    )
