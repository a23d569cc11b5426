"""``python -m benchmarks.chain.master_process FOLDER SETTINGS``: a master as it is shipped, with stop-watches in it.

The settings are JSON. It says its port as one line of JSON, then answers each line on stdin with one: ``codes N``
makes pairing codes, ``timings`` tells and forgets what was timed, ``members`` says what the register holds, ``revoke
OID`` revokes; the end of stdin ends it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.child_process import tell_driver
from benchmarks.fixtures import MASTER_KEY
from chain_gateway import deploy
from group_protocol.errors import VirtualGroupError
from group_protocol.handshake import MasterHandshake
from group_protocol.membership import Associated, ObjectState
from group_protocol.ports import AssociationRequest, Receipt
from master_api.composition import gateway_config, open_service
from master_api.config import MasterConfig
from master_api.operations import Endpoint, Operations
from master_api.pairing import invite
from master_api.service import MasterService

_CODE_LIFETIME_S: Final = 3_600.0


class StopWatch:
    """How long each device's association was the chain's, and its handshake the master's processor's.

    Attributes:
        chain: By device id in hex: from the request to the registry until its receipt; transaction, block, and gas of
            that transaction.
        crypto_s: By session id in hex: seconds inside the master's handshake.
    """

    def __init__(self) -> None:
        self.chain: dict[str, dict[str, Any]] = {}
        self.crypto_s: dict[str, float] = {}

    def watch_registry(self, registry: Any) -> None:  # noqa: ANN401 - a method of it is wrapped
        """Time every association of this registry."""
        associate = registry.associate

        async def timed(request: AssociationRequest) -> Receipt:
            began_s = time.perf_counter()
            receipt: Receipt = await associate(request)
            event = receipt.event
            if isinstance(event, Associated):
                self.chain[event.oid.hex()] = {
                    "seconds": time.perf_counter() - began_s,
                    "transaction": event.at.transaction_hash.hex(),
                    "block": event.at.block_number,
                    "gas": receipt.gas,
                }
            return receipt

        registry.associate = timed

    def watch_handshakes(self) -> None:
        """Time the three calls of every handshake on the master's side."""
        answer = MasterHandshake.answer

        def timed_answer(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
            began_s = time.perf_counter()
            handshake, m2 = answer(*arguments, **named)
            self._add(handshake, time.perf_counter() - began_s)
            return handshake, m2

        MasterHandshake.answer = timed_answer  # type: ignore[method-assign]
        for name in ("receive_identity", "verify_pairing", "admit"):
            setattr(MasterHandshake, name, self._timed(getattr(MasterHandshake, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(handshake: MasterHandshake, *arguments: Any) -> Any:  # noqa: ANN401 - passed on
            began_s = time.perf_counter()
            try:
                return method(handshake, *arguments)
            finally:
                self._add(handshake, time.perf_counter() - began_s)

        return timed

    def _add(self, handshake: MasterHandshake, seconds: float) -> None:
        sid = handshake.sid.hex()
        self.crypto_s[sid] = self.crypto_s.get(sid, 0.0) + seconds

    def take(self) -> dict[str, Any]:
        """What was timed since the last time."""
        taken = {"chain": self.chain, "crypto_s": self.crypto_s}
        self.chain, self.crypto_s = {}, {}
        return taken


async def serve(folder: Path, settings: dict[str, Any]) -> None:
    """Until stdin ends."""
    settings["more_relayer_key_files"] = tuple(settings.get("more_relayer_key_files", ()))
    config = MasterConfig(data_dir=folder, port=0, shutdown_s=1.0, **settings)
    watch = StopWatch()
    watch.watch_handshakes()
    if config.chain != "embedded":
        await deploy(gateway_config(config), time.time)
    async with open_service(config, MASTER_KEY) as service:
        watch.watch_registry(service.context.registry)
        port = await service.listen()
        operations = Operations(service, Endpoint("127.0.0.1", port))
        await operations.create_group("ward 3")
        identity = await service.context.registry.fetch_identity()
        tell_driver({"port": port, "chain_id": identity.chain_id, "contract": identity.contract.hex()})
        while line := await asyncio.to_thread(sys.stdin.readline):
            name, _, argument = line.strip().partition(" ")
            tell_driver(await _answer(service, operations, watch, name, argument))


async def _answer(
    service: MasterService, operations: Operations, watch: StopWatch, name: str, argument: str
) -> dict[str, Any]:
    match name:
        case "codes":
            return {"codes": await _make_codes(service, int(argument))}
        case "timings":
            return watch.take()
        case "members":
            states = [view.state for view in service.context.registry.membership().objects.values()]
            return {"slaves": states.count(ObjectState.SLAVE), "revoked": states.count(ObjectState.REVOKED)}
        case _:
            try:
                return dict(await operations.revoke_device(argument))
            except VirtualGroupError as error:
                return {"error": str(error)}


async def _make_codes(service: MasterService, count: int) -> list[str]:
    made = await asyncio.gather(
        *(invite(service.context, f"bed {at}", "127.0.0.1", 3000, _CODE_LIFETIME_S) for at in range(count))
    )
    return [invitation.pairing.code.hex() for invitation in made]


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), json.loads(sys.argv[2])))
