"""Writes ``deploy/*.sample.toml`` out of the settings' own docstrings.

``python -m tools.sample_config [--check]`` from the project's root. A test holds the files to the code.
"""

import ast
import dataclasses
import inspect
import json
import sys
import textwrap
from enum import Enum
from itertools import pairwise
from pathlib import Path

from chain_gateway.service.config import ServiceConfig
from master_api.chain_policy import ChainAwayPolicy
from master_api.config import MasterConfig
from slave_client.config import SlaveConfig

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
_SLAVE_SENSOR = """
# What to measure: one table for each sensor. `vgroup slave sensors` lists the kinds and their options.
# [[sensor]]
# kind = "psutil"

# What to do with messages from other slaves: one table for each handler, given every message in turn.
# [[handler]]
# kind = "command"
# path = "/usr/local/bin/alarm"

# Names of other members, for `vgroup slave send --to bed-4`.
# [contacts]
# bed-4 = "00112233445566778899aabbccddeeff"
"""


def describe_settings(config: type) -> dict[str, str]:
    """The docstring under each field of a settings class."""
    descriptions = {}
    for definition in ast.parse(textwrap.dedent(inspect.getsource(config))).body:
        body = definition.body if isinstance(definition, ast.ClassDef) else []
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(description))):
                    descriptions[name] = inspect.cleandoc(description)
    return descriptions


def render(config: type, heading: tuple[str, ...], *, left_out: frozenset[str], tail: str = "") -> str:
    """A TOML file in which every setting stands with its meaning, commented out at its default."""
    lines = [
        *(f"# {line}" for line in heading),
        "# Each setting is shown at its default. Take the '#' away to change one.",
    ]
    descriptions = describe_settings(config)
    for field in dataclasses.fields(config):
        if field.name in left_out:
            continue
        default = field.default if field.default is not dataclasses.MISSING else None
        lines.append("")
        lines += [
            f"# {line}" if line else "#"
            for paragraph in descriptions[field.name].replace("``", "`").splitlines()
            for line in textwrap.wrap(paragraph, 110) or [""]
        ]
        lines.append(f"# {field.name} = {_toml(default)}")
    return "\n".join(lines) + "\n" + tail


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, ChainAwayPolicy):
        return json.dumps(value.value)
    if isinstance(value, Enum):
        return json.dumps(value.name)
    return json.dumps(value)


def make_samples() -> dict[str, str]:
    """The files by name."""
    return {
        "master.sample.toml": render(
            MasterConfig,
            (
                "Settings of a vgroup master: copy to master.toml in its data folder.",
                "VGROUP_MASTER_PORT=… in the environment wins over `port` here, and so on.",
            ),
            left_out=frozenset({"data_dir"}),
        ),
        "slave.sample.toml": render(
            SlaveConfig,
            (
                "Settings of a vgroup slave: copy to slave.toml in its state folder.",
                "VGROUP_SLAVE_VIA=… in the environment wins over `via` here, and so on.",
            ),
            left_out=frozenset({"state_dir", "sensors", "handlers", "contacts"}),
            tail=_SLAVE_SENSOR,
        ),
        "gateway.sample.toml": render(
            ServiceConfig,
            (
                "Settings of `vgroup gateway run`: copy to gateway.toml in its data folder.",
                "VGROUP_GATEWAY_PORT=… in the environment wins over `port` here, and so on.",
            ),
            left_out=frozenset({"data_dir"}),
        ),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` name those that differ."""
    if arguments == ["--check"]:
        differing = [name for name, text in make_samples().items() if (DEPLOY / name).read_text("utf-8") != text]
        print("\n".join(f"differs: {name}" for name in differing) or "the samples are up to date")
        return 1 if differing else 0
    for name, text in make_samples().items():
        (DEPLOY / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
