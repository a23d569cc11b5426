"""A paired device as it lies on the disk: its keys and where it stands."""

from collections.abc import Callable
from dataclasses import dataclass

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.ports import Random
from slave_client.config import SlaveConfig
from slave_client.device_state import DeviceState
from slave_client.joining import Joining, Offer
from slave_client.keystore import DeviceKeys, KeyStore
from slave_client.processor import preferred_aeads


@dataclass(frozen=True, slots=True)
class LoadedDevice:
    """An existing device. Only who holds its state directory may change it."""

    store: KeyStore
    keys: DeviceKeys
    state: DeviceState

    def joining(self, config: SlaveConfig, random: Random, report: Callable[[str], None]) -> Joining:
        """What takes it to an open session."""
        offer = Offer(config.suites, preferred_aeads())
        return Joining(self.store, self.keys, self.state, offer=offer, random=random, report=report)


def load_device(store: KeyStore) -> LoadedDevice:
    """The device; its keys are sealed from then on if there is a secret for it. Blocking.

    Raises:
        ConfigurationError: It has not been paired.
        KeyStoreError: A file is damaged, or open to others.
    """
    store.seal_keys()
    state, keys = store.load_state(), store.load_keys()
    if state is None or keys is None:
        raise ConfigurationError(
            "this device has not been paired",
            remedy="Run vgroup slave join with the string from vgroup device invite.",
            code=ErrorCode.NOT_PAIRED,
        )
    return LoadedDevice(store, keys, state)
