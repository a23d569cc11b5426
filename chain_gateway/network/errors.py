"""What may go wrong with a network of nodes. Each is one of the core's errors, so that a command ends as always."""

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryUnavailable


class GethMissing(ConfigurationError):
    """No geth, or one that cannot seal Clique."""

    default_code = ErrorCode.GETH_MISSING


class NetworkFolderRefused(ConfigurationError):
    """The folder holds no network, or a damaged one, or cannot be one."""

    default_code = ErrorCode.NETWORK_FOLDER


class PortInUse(ConfigurationError):
    """Another program listens on a port that a node needs."""

    default_code = ErrorCode.PORT_IN_USE


class NodeFailed(RegistryUnavailable):
    """A node ended, or does not do what it should in time. The message has the last lines of its log."""

    default_code = ErrorCode.NETWORK_NODE_FAILED


class NodeSilent(RegistryUnavailable):
    """A node does not answer on its Unix socket."""

    default_code = ErrorCode.NETWORK_NODE_FAILED


class NodeRefused(RegistryUnavailable):
    """A node answered a question with an error."""

    default_code = ErrorCode.NETWORK_NODE_FAILED
