"""Opening the master's edge on every address that it is to listen on."""

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.hosts import join_authority, listening_hosts
from system_ports.edge_server import EdgeServer


async def listen_on(edge: EdgeServer, text: str, port: int) -> int:
    """Open the edge on every address; answers the port, the same for all.

    Args:
        edge: The server; it is closed where one address fails.
        text: The setting ``host``. With ``*``, a family that the machine does not have is left out.
        port: 0 lets the system choose.

    Raises:
        ConfigurationError: An address is not this machine's, or something else listens there.
    """
    for host in listening_hosts(text):
        try:
            port = await edge.listen(host, port)
        except OSError as exc:
            await edge.close(0)
            raise ConfigurationError(
                f"cannot listen on {join_authority(host, port)}: {exc.strerror}",
                remedy="Choose another --port, stop what listens there, or name an address of this machine.",
                code=ErrorCode.PORT_IN_USE,
            ) from exc
    return port
