"""The master's side of a run, a process of its own: ``python -m measure.bench.master FOLDER DEVICES``.

Our master with its embedded chain, and the paper's beside it, both on loopback. It prints one line of JSON when it is
ready, and ends when its standard input does: so it never outlives who started it.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from group_protocol.tickets import EvidencePolicy
from master_api.composition import open_service
from master_api.config import MasterConfig
from master_api.key_file import create_key
from master_api.operations import Endpoint, Operations
from measure.paper_baseline.master import MasterKeys, PaperMaster
from measure.paper_baseline.register import InMemoryRegister
from measure.paper_baseline.server import serve
from system_ports.randomness import SystemRandom

HOST = "127.0.0.1"


async def run(folder: Path, devices: int) -> None:
    """Set up, say so, and wait for the end of standard input."""
    config = MasterConfig(data_dir=folder, host=HOST, port=0, evidence_policy=EvidencePolicy.SIGNED)
    paper = PaperMaster(MasterKeys.generate(os.urandom), InMemoryRegister(), os.urandom)
    await paper.create_group()
    async with open_service(config, create_key(SystemRandom())) as service, serve(paper, HOST) as paper_port:
        port = await service.listen()
        operations = Operations(service, Endpoint(HOST, port))
        await operations.create_group("bench")
        pairings = [
            (await operations.invite_device(f"device {number}"))["pairing_string"] for number in range(1, devices + 1)
        ]
        ready = {"port": port, "paper_port": paper_port, "pairings": pairings}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Make the folder and run."""
    folder = Path(sys.argv[1])
    folder.mkdir(mode=0o700)
    asyncio.run(run(folder, int(sys.argv[2])))


if __name__ == "__main__":
    main()
