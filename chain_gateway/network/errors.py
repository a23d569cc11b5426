"""What may go wrong with a network of nodes. Each is one of the core's errors, so that a command ends as always."""

from group_protocol.errors import ConfigurationError, RegistryUnavailable


class GethMissing(ConfigurationError):
    """No geth, or one that cannot seal Clique."""


class NetworkFolderRefused(ConfigurationError):
    """The folder holds no network, or a damaged one, or cannot be one."""


class PortInUse(ConfigurationError):
    """Another program listens on a port that a node needs."""


class NodeFailed(RegistryUnavailable):
    """A node ended, or does not do what it should in time. The message has the last lines of its log."""


class NodeSilent(RegistryUnavailable):
    """A node does not answer on its Unix socket."""


class NodeRefused(RegistryUnavailable):
    """A node answered a question with an error."""
