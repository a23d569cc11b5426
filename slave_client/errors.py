"""Errors that only a slave can have; everything else is in :mod:`group_protocol.errors`."""

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, StoreError, VirtualGroupError


class KeyStoreError(ConfigurationError):
    """A file of the state directory is missing, damaged or readable by others."""

    default_code = ErrorCode.DEVICE_STATE_DAMAGED


class DeviceBusyError(ConfigurationError):
    """Another process is using the state directory."""

    default_code = ErrorCode.FOLDER_IN_USE


class MasterUnreachableError(VirtualGroupError):
    """No usable answer came from the master's address. Trying again may help."""

    default_code = ErrorCode.MASTER_UNREACHABLE


class MasterRefusalError(VirtualGroupError):
    """The uniform refusal (``docs/protocol.md`` §2): unsigned, so it proves nothing about who sent it or why."""

    default_code = ErrorCode.MASTER_REFUSES


class NotAdmittedError(MasterRefusalError):
    """The same after the master had proved itself: it does not admit this device, or not with this code."""


class StreamClosedError(MasterUnreachableError):
    """The stream ended; a new session is needed."""


class DeviceRevokedError(VirtualGroupError):
    """The proven master says that this device is revoked: it never comes back under this identity."""

    default_code = ErrorCode.DEVICE_REVOKED


class SensorError(VirtualGroupError):
    """A sensor is not there or gives no usable reading."""

    default_code = ErrorCode.SENSOR_FAILED


class BufferFullError(StoreError):
    """The buffer cannot keep a record: the disk refuses and the memory in front of it is at its bound."""

    default_code = ErrorCode.BUFFER_FULL


class MembershipLostError(MasterRefusalError):
    """The master takes nothing from this device any more; the next M4 says why."""

    default_code = ErrorCode.NOT_A_MEMBER
