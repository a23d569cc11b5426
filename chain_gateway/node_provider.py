"""web3's HTTP provider with bounds: a node is somebody else's program, and its answer is read as a stranger's.

py-evm, which this package imports, raises Python's recursion limit to 100,000. With that the JSON parser runs over the
end of the stack on some 50 KB of brackets, and the process is gone: so nesting is counted before anything is parsed.
"""

from typing import cast

from eth_typing import URI
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from chain_gateway.node_answers import UnusableAnswer
from group_protocol.shallow_json import load_shallow_json

ANSWER_MAX_BYTES = 32 * 1024 * 1024
"""An answer of logs is the largest: some 40,000 of them, more than a range of blocks that we ask for can hold."""


class NodeProvider(AsyncHTTPProvider):
    """Asks by HTTP, once. What is too large, nested too deep, or no JSON raises UnusableAnswer."""

    async def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:  # noqa: ARG002 - web3's signature
        sessions = self._request_session_manager
        response = await sessions.async_get_response_from_post_request(
            cast("URI", self.endpoint_uri), data=request_data, **self.get_request_kwargs()
        )
        async with response:
            response.raise_for_status()
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > ANSWER_MAX_BYTES:
                    raise UnusableAnswer(f"the node's answer is larger than {ANSWER_MAX_BYTES:,} bytes")
        return bytes(body)

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Parse an answer. Raises UnusableAnswer."""
        try:
            return cast("RPCResponse", load_shallow_json(raw_response))
        except ValueError as exc:
            raise UnusableAnswer(f"the node's answer is no JSON: {str(exc)[:80]}") from exc
