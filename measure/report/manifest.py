"""What a run was made on and with: as a file and as tables."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from measure.idle import Condition, describe_condition
from measure.machine import Machine
from measure.probes.finding import Found
from measure.report.tables import Table
from measure.results import FORMAT, Results


def manifest_json(
    machine: Machine, condition: Condition, found: Sequence[Found], results: Sequence[Results]
) -> dict[str, Any]:
    """For programs."""
    return {
        "format": FORMAT,
        "machine": asdict(machine),
        "condition_before": asdict(condition),
        "probes": {one.name: asdict(one.card) if one.card else {"missing": one.missing} for one in found},
        "experiments": {
            one.experiment: {"at": one.at, "settings": one.settings, "is_partial": one.is_partial,
                             "idle_checks": [asdict(check) for check in one.checks]}
            for one in results
        },
    }  # fmt: skip


def manifest_tables(
    machine: Machine, condition: Condition, found: Sequence[Found], results: Sequence[Results]
) -> list[Table]:
    """For people."""
    words = frozenset({1, 2})
    facts = [
        ("processor or board", machine.title),
        ("architecture, memory", f"{machine.architecture}, {machine.memory_mb:,} MB"),
        ("system", f"{machine.system}, kernel {machine.kernel}"),
        ("before the run", describe_condition(condition)),
        ("frequency governor", machine.governor or "unknown"),
        ("Python, vgroup", f"{machine.python}, {machine.version}"),
        ("commit", machine.commit or "unknown"),
        *sorted((name, version or "not installed") for name, version in machine.packages.items()),
    ]
    probes = [
        (one.name, "–" if one.card is None else "modelled" if one.card.is_modelled else "measured",
         one.card.detail if one.card else one.missing)
        for one in found
    ]  # fmt: skip
    checks = [
        (one.experiment, check.question, f"{'✓' if check.holds else '✗'} {check.answer}")
        for one in results
        for check in one.checks
    ]
    return [
        Table("Machine and software", ("What", "is"), tuple(facts), text_columns=words),
        Table("Probes", ("Probe", "kind", "what it is, or why it is not there"), tuple(probes), text_columns=words),
        Table("Idle checks", ("Experiment", "question", "answer"), tuple(checks), text_columns=words),
    ]
