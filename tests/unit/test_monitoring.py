"""Dashboard and alerts ask for what the programs tell, and the page names all of it."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
TELLERS = [
    ROOT / name for name in ("master_api/metrics.py", "slave_client/metrics.py", "chain_gateway/service/metrics.py")
]


def told() -> set[str]:
    """Names as Prometheus sees them, read out of the calls that make them."""
    names = {"vgroup_build_info"}
    for path in TELLERS:
        for kind, name in re.findall(r'\b(gauges?|counters?)\(\s*"([a-z_]+)"', path.read_text("utf-8")):
            names.add(f"vgroup_{name}" + ("_total" if kind.startswith("counter") else ""))
    return names


def asked(text: str) -> set[str]:
    return set(re.findall(r"\bvgroup_[a-z_]+", text))


def test_page_names_every_metric_and_no_other() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert asked(" ".join(re.findall(r"\| `(.*)` \|", page))) == told()


def test_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text("utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 20
    assert asked(" ".join(expressions)) <= told()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_alerts_ask_for_metrics_that_there_are() -> None:
    (group,) = yaml.safe_load((MONITORING / "vgroup-alerts.yaml").read_text("utf-8"))["groups"]
    expressions = [rule["expr"] for rule in group["rules"]]
    assert asked(" ".join(expressions)) <= told()
    assert all(asked(expression) for expression in expressions)


def test_scrape_jobs_are_those_that_the_dashboard_names() -> None:
    settings = yaml.safe_load((MONITORING / "prometheus.sample.yaml").read_text("utf-8"))
    jobs = {job["job_name"] for job in settings["scrape_configs"]}
    named = set(
        re.findall(r"vgroup-(?:master|gateway|slave)", (MONITORING / "grafana-dashboard.json").read_text("utf-8"))
    )
    assert named <= jobs
