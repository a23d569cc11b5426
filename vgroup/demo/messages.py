"""One slave says something to another, and one stored record is proved to a third party."""

import asyncio
import json
from typing import Any, Final

from group_protocol.errors import VirtualGroupError
from vgroup.demo.settings import EMBEDDED
from vgroup.demo.stage import Stage

MESSAGE_NAME: Final = "message"
"""The name of its reading, by which it is told from the recordings' samples."""
_TEXT: Final = "bed 2, please look at the left electrode"
_ATTEMPTS: Final = 20
_POLL_S: Final = 0.25
_PROOF: Final = "proof.json"


async def exchange_message(stage: Stage) -> None:
    """The first slave sends, the second receives and verifies it. With one slave there is nobody to talk to."""
    if len(stage.slaves) < 2:
        return
    sender, receiver = stage.slaves[:2]
    stage.screen.doing(f"{sender.name} says something to {receiver.name}")
    words = ("slave", "send", _TEXT, "--to", receiver.oid, "--name", MESSAGE_NAME, "--state-dir", str(sender.folder))
    sent = await stage.crew.run_json("send", *words)
    sender.messages.add(sent["seq"])
    heard = await _hear(stage, sent["seq"])
    stage.check(
        "a message from slave to slave arrives, verified by its receiver",
        holds=heard is not None and heard["from"] == sender.oid and heard["readings"][0]["value"] == _TEXT,
        detail=f"{sender.name}'s record {sent['seq']} in {receiver.name}'s inbox, signed by {heard['address'][:10]}…"
        if heard is not None
        else f"{sender.name}'s record {sent['seq']} did not arrive",
    )


async def _hear(stage: Stage, seq: int) -> dict[str, Any] | None:
    receiver = stage.slaves[1]
    for _ in range(_ATTEMPTS):
        inbox = await stage.crew.run("inbox", "slave", "inbox", "--state-dir", str(receiver.folder), "--json")
        messages: list[dict[str, Any]] = [json.loads(line) for line in inbox.splitlines()]
        if found := [message for message in messages if message["seq"] == seq]:
            return found[0] if len(messages) == 1 else None
        await asyncio.sleep(_POLL_S)
    return None


async def prove_record(stage: Stage) -> None:
    """Anchor what is stored, prove one record, and have a third party check the proof with the chain alone."""
    stage.screen.doing("anchoring the records, proving one of them")
    claim = "a third party proves a record with nothing but the chain"
    try:
        anchors = (await stage.master.ask("records.anchor"))["anchors"]
        proof = await stage.master.ask("records.prove", record=f"{stage.slaves[0].oid}/1")
    except VirtualGroupError as exc:
        stage.check(claim, holds=False, detail=str(exc))
        return
    file = stage.folder / _PROOF
    await asyncio.to_thread(file.write_text, json.dumps(proof), "utf-8")
    chain = str(stage.master.folder) if stage.settings.chain == EMBEDDED else stage.settings.chain
    words = ("records", "check-proof", str(file), "--chain", chain, "--contract", proof["contract"])
    checked = await stage.crew.run_json("check-proof", *words, may_find=True)
    stage.check(
        claim,
        holds=bool(checked["is_good"]) and checked["device"] == stage.slaves[0].oid,
        detail=f"record 1 of {stage.slaves[0].name}, one of {proof['tree']['size']} under the root in block"
        f" {anchors[-1]['block']}"
        if checked["is_good"]
        else checked["problem"],
    )
