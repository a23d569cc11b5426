"""Errors that only a slave can have; everything else is in :mod:`group_protocol.errors`."""

from group_protocol.errors import ConfigurationError, StoreError, VirtualGroupError


class KeyStoreError(ConfigurationError):
    """A file of the state directory is missing, damaged or readable by others."""


class DeviceBusyError(ConfigurationError):
    """Another process is using the state directory."""


class MasterUnreachableError(VirtualGroupError):
    """No usable answer came from the master's address. Trying again may help."""


class MasterRefusalError(VirtualGroupError):
    """The uniform refusal (``docs/protocol.md`` §2): unsigned, so it proves nothing about who sent it or why."""


class StreamClosedError(MasterUnreachableError):
    """The stream ended; a new session is needed."""


class DeviceRevokedError(VirtualGroupError):
    """The proven master says that this device is revoked: it never comes back under this identity."""


class SensorError(VirtualGroupError):
    """A sensor is not there or gives no usable reading."""


class BufferFullError(StoreError):
    """The buffer cannot keep a record: the disk refuses and the memory in front of it is at its bound."""


class MembershipLostError(MasterRefusalError):
    """The master takes nothing from this device any more; the next M4 says why."""
