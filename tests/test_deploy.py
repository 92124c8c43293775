"""What lies in deploy/: it parses, and says nothing that the program does not know."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from realtime_dub.cli import app
from realtime_dub.web.studio.metrics import Metrics
from realtime_dub.web.workers.hosting import LOAD

pytestmark = pytest.mark.computes
DEPLOY = Path(__file__).parents[1] / "deploy"


def options_of_fleet_up() -> set[str]:
    command = get_command(app).commands["fleet"].commands["up"]  # type: ignore[attr-defined]
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize(
    ("name", "begins", "ends"), [("compose.yaml", "- up\n", "redis:\n"), ("kubernetes.yaml", "fleet, up", "]\n")]
)
def test_options_of_the_fleet_are_known(name: str, begins: str, ends: str) -> None:
    said = (DEPLOY / name).read_text().partition(begins)[2].partition(ends)[0]
    given = set(re.findall(r"--[a-z-]+", said))
    assert {"--folder", "--workers", "--port"} <= given
    assert given <= options_of_fleet_up()


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml"])
def test_manifests_are_yaml(name: str) -> None:
    yaml = pytest.importorskip("yaml")
    documents = list(yaml.safe_load_all((DEPLOY / name).read_text()))
    assert all(isinstance(each, dict) for each in documents)
    if name == "compose.yaml":
        assert {"head", "worker", "fleet", "redis", "relay"} == set(documents[0]["services"])
    else:
        assert [each["kind"] for each in documents][-3:] == ["Deployment", "DaemonSet", "Job"]


def test_the_image_copies_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        assert all((DEPLOY.parent / each).exists() for each in line.split())


def test_the_dashboard_shows_what_there_is() -> None:
    board = json.loads((DEPLOY / "grafana-fleet.json").read_text())
    told = Metrics().text().decode() + " ".join(f"realtime_dub_{name}" for name in LOAD)
    for panel in board["panels"]:
        for target in panel["targets"]:
            for name in re.findall(r"realtime_dub_[a-z_]+", target["expr"]):
                assert name.removesuffix("_total") in told, name
