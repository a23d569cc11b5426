"""Opening the master's edge on every address that it is to listen on."""

from aiohttp import web

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.hosts import join_authority, listening_hosts


async def listen_on(runner: web.ServerRunner, text: str, port: int) -> int:
    """Open the edge on every address; answers the port, the same for all.

    Args:
        runner: Set up already.
        text: The setting ``host``. With ``*``, a family that the machine does not have is left out.
        port: 0 lets the system choose.

    Raises:
        ConfigurationError: An address is not this machine's, or something else listens there.
    """
    for host in listening_hosts(text):
        try:
            await web.TCPSite(runner, host, port, reuse_address=True).start()
        except OSError as exc:
            await runner.cleanup()
            raise ConfigurationError(
                f"cannot listen on {join_authority(host, port)}: {exc.strerror}",
                remedy="Choose another --port, stop what listens there, or name an address of this machine.",
                code=ErrorCode.PORT_IN_USE,
            ) from exc
        port = int(runner.addresses[0][1])
    return port
