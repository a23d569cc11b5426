"""Bytes per step of the baseline over loopback, beside the paper's captures."""

from collections.abc import Sequence
from statistics import median

from measure.paper_baseline.ciphers import RandomBytes
from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.http_form import CAPTURED, StepBytes
from measure.paper_baseline.master import MasterKeys, PaperMaster
from measure.paper_baseline.register import InMemoryRegister
from measure.paper_baseline.relay import Conversation, relay_to
from measure.paper_baseline.server import serve
from measure.paper_baseline.slave import Device

LOOPBACK = "127.0.0.1"


def step_of(conversation: Conversation) -> StepBytes:
    """The step that one connection carried; its path is in the request line."""
    path = conversation.sent.split(b" ", 2)[1].decode("ascii")
    return StepBytes(path, len(conversation.sent), len(conversation.answered))


async def count_join(random_bytes: RandomBytes) -> list[StepBytes]:
    """One join of a new device to a new master, all keys fresh: the steps in order, one connection each."""
    master = PaperMaster(MasterKeys.generate(random_bytes), InMemoryRegister(), random_bytes)
    await master.create_group()
    device = Device.generate(random_bytes)
    async with serve(master) as port, relay_to(LOOPBACK, port) as relay, PaperClient(LOOPBACK, relay.port) as client:
        await client.join(device)
    return [step_of(conversation) for conversation in relay.conversations]


def _range(values: Sequence[int]) -> str:
    return f"{median(values):,.0f} ({min(values):,}–{max(values):,})"


def render_table(joins: Sequence[Sequence[StepBytes]]) -> str:
    """A Markdown table: per step, the captured bytes and the median, lowest and highest of `joins`."""
    lines = [
        "| step | request, captured | request, here | answer, captured | answer, here |",
        "|---|---:|---:|---:|---:|",
    ]
    for position, captured in enumerate(CAPTURED):
        steps = [join[position] for join in joins]
        requests = _range([step.request_bytes for step in steps])
        answers = _range([step.answer_bytes for step in steps])
        lines.append(
            f"| `{captured.path}` | {captured.request_bytes:,} | {requests} | {captured.answer_bytes:,} | {answers} |"
        )
    return "\n".join(lines) + "\n"
