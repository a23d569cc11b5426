"""The chains that are compared: embedded, anvil, and a network of three geth signers."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chain_gateway.network import ChainNetwork, NewNetwork
from chain_gateway.network.geth import find_geth
from tests.support.anvil import run_anvil, write_key

RELAYERS: Final = 4


@dataclass(frozen=True, slots=True)
class Site:
    """A chain that runs.

    Attributes:
        name: As it stands in results.
        url: Its JSON-RPC; None for the embedded chain, which is in the master's process.
        relayer_keys: Key files of accounts with ether.
        period_s: From block to block; 0 where each transaction gets its block at once.
    """

    name: str
    url: str | None
    relayer_keys: tuple[Path, ...]
    period_s: float

    @property
    def master_settings(self) -> dict[str, Any]:
        """For a master's configuration."""
        if self.url is None:
            return {}
        first, *more = map(str, self.relayer_keys)
        return {"chain": self.url, "relayer_key_file": first, "more_relayer_key_files": more}


@contextmanager
def embedded() -> Iterator[Site]:
    """The chain in the master's own process."""
    yield Site("embedded", None, (), 0)


@contextmanager
def anvil() -> Iterator[Site]:
    """One node that mines at once, and trusts nobody less than everybody."""
    with tempfile.TemporaryDirectory() as folder, run_anvil() as url:
        keys = tuple(write_key(Path(folder) / f"{at}.key", key) for at, key in enumerate(ANVIL_KEYS))
        yield Site("anvil", url, keys, 0)


@contextmanager
def geth() -> Iterator[Site]:
    """Three signers, a block each second."""
    with tempfile.TemporaryDirectory(prefix="vgroup-") as folder:
        wanted = NewNetwork(http_port=0, p2p_port=0, relayers=RELAYERS)
        network = ChainNetwork.create(Path(folder) / "net", wanted)
        try:
            network.start(find_geth())
            network.wait_until_well()
            layout = network.layout
            keys = tuple(layout.relayer_key(at) for at in range(RELAYERS))
            yield Site("geth, 3 signers", layout.nodes[0].url, keys, layout.period_s)
        finally:
            network.stop()


ANVIL_KEYS: Final = (
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
)
"""The first accounts of the mnemonic "test test … junk", which everybody knows."""

SITES: Final[dict[str, Callable[[], AbstractContextManager[Site]]]] = {
    "embedded": embedded, "anvil": anvil, "geth": geth,
}  # fmt: skip
