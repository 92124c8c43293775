"""The command ``export-engine``: bundles, choices that a run takes, reports, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from typer.testing import CliRunner  # noqa: E402

from export import bundles, forms, graph, speed  # noqa: E402
from export.cli import app  # noqa: E402
from export.inputs import cases  # noqa: E402
from export.trials import Asked, trial  # noqa: E402
from realtime_dub.errors import BundleError, ConfigError, DependencyError, RealtimeDubError  # noqa: E402
from realtime_dub.inference import choice  # noqa: E402
from realtime_dub.inference.batching import BatchingSession  # noqa: E402
from realtime_dub.inference.bundle import Bundle, load  # noqa: E402
from realtime_dub.inference.contract import Opening  # noqa: E402
from realtime_dub.inference.engine_cache import EngineCache  # noqa: E402
from realtime_dub.inference.session import open_session  # noqa: E402

pytestmark = pytest.mark.usefixtures("home")


def run(*arguments: str) -> int:
    """The command's exit code; what it raises is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0)


def test_an_exported_bundle_says_what_it_is_made_of(motion: Bundle, tmp_path: Path) -> None:
    assert run("mouthbank", "--bundle", motion.folder, "-o", tmp_path / "out", "--calls", "20", "-q") == 0
    written = load(tmp_path / "out" / "bundle", known=True)
    assert {path.name for path in written.folder.iterdir()} == {path.name for path in motion.folder.iterdir()}
    model = graph.parsed(bundles.network_of(written), "")
    told = {each.key: each.value for each in model.metadata_props}
    assert told["network.sha256"] == bundles.sha256_of(motion)
    assert told["licence"] == "Apache-2.0"
    assert "GRID" in told["training_data"]
    assert graph.opset(model) == 17
    feeds = cases(motion.spec, 1)[0].calls[0] | {s.before: np.zeros(s.shape, np.float32) for s in motion.spec.states}
    results = [session.run(feeds) for session in (written.session("cpu"), motion.session("cpu"))]
    assert all(np.array_equal(results[0][name], results[1][name]) for name in results[0])  # to the bit


def test_auto_measures_and_writes_the_choice_that_a_run_takes(mask: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    assert run("mouthbank", "--bundle", mask.folder, "--backend", "auto", "--calls", "20", "--report", out, "-q") == 0
    told = json.loads(out.read_text())
    by_backend = {each["backend"]: each for each in told["trials"]}
    assert by_backend["cpu"]["state"] == "ran"
    assert by_backend["cpu"]["passed"]
    assert {each["streams"] for each in by_backend["cpu"]["speeds"]} == set(speed.BATCHES)
    assert all(each["why"] for each in told["trials"] if each["state"] in ("missing", "refused"))
    made = choice.chosen(bundles.sha256_of(mask))
    assert made is not None
    assert made.backend == "cpu"
    assert made.settings.threads >= 1
    session = open_session(bundles.network_of(mask), Opening(mask.label, mask.spec))
    assert session.backend == "cpu"
    assert isinstance(session, BatchingSession) == (made.streams > 1)


def test_a_choice_of_narrower_numbers_is_what_runs(motion: Bundle) -> None:
    model, opening = bundles.network_of(motion), Opening(motion.label, motion.spec)
    forms.made(motion, "fp16", EngineCache(), 20)
    choice.write(
        bundles.sha256_of(motion),
        choice.Choice(label="x", backend="cpu", precision="fp16", surroundings=choice.surroundings("cpu")),
    )
    feeds = cases(motion.spec, 1)[0].calls[0] | {s.before: np.zeros(s.shape, np.float32) for s in motion.spec.states}
    found, wide = (open_session(model, opening, which).run(feeds)["features"] for which in ("auto", "cpu"))
    assert 0 < np.abs(found - wide).max() < 0.1


def test_a_choice_that_cannot_be_kept_gives_way(motion: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    made = choice.Choice(label="x", backend="cpu", precision="int8", surroundings=choice.surroundings("cpu"))
    choice.write(bundles.sha256_of(motion), made)
    session = open_session(bundles.network_of(motion), Opening(motion.label, motion.spec))
    assert session.backend == "cpu"
    assert "the backend chosen for it cannot be used" in caplog.text


def test_the_report_is_one_file_of_html(mask: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert run("mouthbank", "--bundle", mask.folder, "--calls", "20", "--report", out, "-q") == 0
    text = out.read_text()
    assert text.startswith("<!doctype html>")
    assert "http" not in text
    for heading in ("Backends", "Parity", "Speed", "Settings of ONNX Runtime"):
        assert f"<h2>{heading}" in text


def test_what_is_built_is_listed(mask: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    forms.made(mask, "fp16", EngineCache(), 20)
    result = CliRunner().invoke(app, ["--list"], standalone_mode=False)
    assert "fp16" in result.output
    assert "ready" in result.output


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ([], ConfigError, "NAME is missing"),
        (["mouthbank", "--backend", "abacus"], ConfigError, "unknown backend 'abacus'"),
        (["mouthbank", "--precision", "fp4"], ConfigError, "unknown precision 'fp4'; choose one of fp32, fp16, int8"),
        (["dreams"], BundleError, "no bundle for engine 'dreams'; choose one of landmark-dub, lipgan, mouthbank"),
        (["hpm"], BundleError, "it speaks for a whole film at once"),
        (["mouthbank", "--report", "a.txt"], ConfigError, "ends in .html or .json"),
        (["mouthbank", "--run", "/nowhere"], BundleError, "no bundle in /nowhere"),
        (["mouthbank", "--backend", "torch-tensorrt"], DependencyError, "the backend torch-tensorrt needs"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], kind: type[RealtimeDubError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)


def test_a_bundle_of_another_engine_is_refused(motion: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(motion.folder, tmp_path / "bundle"))
    spec = json.loads((copy / "spec.json").read_text()) | {"engine": "other"}
    (copy / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(BundleError, match="it is for the engine other"):
        run("mouthbank", "--bundle", copy)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.long
def test_the_trained_net_runs_as_machine_code_of_this_processor(motion: Bundle) -> None:
    found = trial(motion, "torch-aot", Asked(calls=70))
    assert found.state == "ran", found.why
    assert found.passed  # calls of all sizes, from states of its own
    session = open_session(bundles.network_of(motion), Opening(motion.label, motion.spec), "torch-aot")
    assert session.backend == "torch-aot"
    built, why_not = next(each for each in EngineCache().entries() if each.manifest.wanted.backend == "torch-aot")
    assert why_not == ""
    assert built.surroundings.libraries["processor"]
    elsewhere = built.surroundings.model_copy(update={"libraries": {"torch": "1", "processor": "other"}})
    assert "processor" in "; ".join(built.surroundings.unlike(elsewhere))


def test_machine_code_that_was_not_compiled_is_asked_for(motion: Bundle) -> None:
    with pytest.raises(BundleError, match="run: export-engine mouthbank --backend torch-aot"):
        open_session(bundles.network_of(motion), Opening(motion.label, motion.spec), "torch-aot")
    with pytest.raises(BundleError, match="use fp32"):
        run("mouthbank", "--bundle", motion.folder, "--backend", "torch-aot", "--precision", "fp16")


def test_a_missing_backend_is_told_as_one(mask: Bundle) -> None:
    found = trial(mask, "tensorrt-ep", Asked(calls=20))
    assert found.state in ("missing", "refused")
    assert not found.passed
