"""From videos and speech to the bundles that ship, by the two commands, broken off on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pocketsphinx")

from stage_runs import execute  # noqa: E402
from talkers import RATE, write_talker  # noqa: E402
from tiny import filmed  # noqa: E402

from engines.common.dataset import Dataset  # noqa: E402
from engines.common.grid import to_16k  # noqa: E402
from engines.common.loop import Trainer  # noqa: E402
from engines.common.make_demo_voice import SENTENCES  # noqa: E402
from engines.common.prepare import vectors  # noqa: E402
from engines.common.prepare.phones import write_audio  # noqa: E402
from engines.common.results import NET, read_net  # noqa: E402
from engines.common.speech import whisper  # noqa: E402
from engines.common.speech.corpus import Row, words_of  # noqa: E402
from engines.common.speech.inventory import INDEX, SIL  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.mouth.mouthbank.motion import MotionStream  # noqa: E402
from realtime_dub.sources.base import read_all  # noqa: E402
from realtime_dub.sources.demo_voice import DemoVoiceSource  # noqa: E402

pytestmark = pytest.mark.usefixtures("few_sounds")

CORPUS = "Common Voice 13"
SMALL = """
[speech]
plan = { steps = 2, warm_up = 1, check_every = 2 }
engine = { batch = 2, frames = 100, width = 8, dilations = [2, 4], vectors = 4 }
[direct]
plan = { steps = 3, warm_up = 1, check_every = 3 }
engine = { batch = 2, frames = 100, width = 8, dilations = [1, 4], components = 3, align_at = 2 }
[teacher]
plan = { steps = 2, warm_up = 1, check_every = 2 }
engine = { batch = 4, components = 3, width = 8, vectors = 6 }
[voice]
plan = { steps = 4, warm_up = 1, check_every = 2 }
engine = { width = 8, dilations = [2], details = 2, filmed_rows = 2, taught_rows = 2, frames = 60 }
"""


def sentences() -> list[np.ndarray]:
    """The demo voice sentence by sentence, a little silence about each."""
    source = DemoVoiceSource()
    rate = source.open().rate
    sound = to_16k(np.concatenate([block.samples[:, 0] for block in read_all(source.read)]), rate)
    source.close()
    loud = np.abs(sound[: len(sound) // 160 * 160]).reshape(-1, 160).max(1) > 0.02
    places = np.flatnonzero(loud)
    starts = places[np.flatnonzero(np.diff(places, prepend=-100) > 45)]
    ends = places[np.flatnonzero(np.diff(places, append=len(loud) + 100) > 45)]
    return [sound[max(0, a - 15) * 160 : (b + 15) * 160] for a, b in zip(starts, ends, strict=True)]


class Bands:
    """In the place of the Whisper encoder, whose weights are fetched: its own input, as wide as its output."""

    def hear(self, sound: np.ndarray) -> np.ndarray:
        levels = whisper.bands(np.pad(sound, (0, 320)))[:, ::2].T[: -(-len(sound) // whisper.STEP)]
        return np.tile(levels, (1, 7))[:, : whisper.SIZE].astype(np.float16)


def speaker(part: str) -> str:
    """A name whose speaker is of ``part``."""
    return next(name for name in map(str, range(1000)) if Row("", CORPUS, "en", name, "", "").part == part)


@pytest.fixture(scope="module")
def voices() -> list[np.ndarray]:
    found = sentences()
    assert len(found) == len(SENTENCES)
    return found


Run = Callable[..., int]


@pytest.fixture(name="run")
def runner(monkeypatch: pytest.MonkeyPatch) -> Run:
    return lambda name, *arguments: execute(monkeypatch, name, *arguments)


@pytest.fixture(scope="module")
def prepared(voices: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Three people filmed and two heard, by prepare-dataset."""
    root = tmp_path_factory.mktemp("stages")
    rows = ["clip\tstart_ms\tend_ms\tword"]
    for index, (who, voice) in enumerate(zip(("s1", "s2", "s3"), voices, strict=False)):
        (root / "film" / who).mkdir(parents=True)
        write_talker(root / "film" / who / f"c{index}.mkv", voice=voice[: len(voice) // 640 * 640])
        rows += [f"c{index}\t{200 * k}\t{200 * k + 200}\t{word}" for k, word in enumerate(words_of(SENTENCES[index]))]
    (root / "film.words.tsv").write_text("\n".join(rows) + "\n")
    table = ["file\tcorpus\tlanguage\tspeaker\tgender\ttext"]
    for part in ("train", "validation"):
        for index, voice in enumerate(voices):
            write_audio(root / "speech", f"{part}{index}", voice)
            table.append(f"sound/{part}{index}.wav\t{CORPUS}\ten\t{speaker(part)}\tmale\t{SENTENCES[index]}")
    (root / "speech" / "transcripts.tsv").write_text("\n".join(table) + "\n", "utf-8")
    film, heard = root / "prepared" / "film", root / "prepared" / "speech"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "Listener", Bands)
        for folder, layout, out in ((root / "film", "grid", film), (root / "speech", "speech", heard)):
            options = ("--layout", layout, "--crops", "none", "--vectors")
            assert execute(patch, "prepare-dataset", folder, *options, "-o", out) == 0
    return film, heard


@pytest.fixture(scope="module")
def made(prepared: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the one command that was broken off in the midst of the voice net, and went on."""
    out = tmp_path_factory.mktemp("run") / "mouthbank"
    config = out.with_name("small.toml")
    config.write_text(SMALL)
    data = [text for folder in prepared for text in ("--data", folder)]
    save = Trainer.save

    def broken(self: Trainer) -> None:
        save(self)
        if self.out.name == "voice" and self.step == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "save", broken)
        assert execute(patch, "train-engine", "mouthbank", *data, "--out", out, "--config", config) == 130
        assert [path.parent.name for path in sorted(out.glob(f"*/{NET}"))] == ["direct", "speech", "teacher"]
        patch.setattr(Trainer, "save", save)
        assert execute(patch, "train-engine", "mouthbank", "--out", out, "--resume") == 0
    return out


def test_filmed_and_heard_tracks_have_phonemes(prepared: tuple[Path, Path]) -> None:
    dataset = Dataset(*prepared)
    aligned = dataset.spoken()
    assert {entry.filmed for entry in aligned} == {True, False}
    for entry in aligned:
        log_power, labels = dataset.phones(entry)
        assert len(log_power) == len(labels)
        assert abs(len(dataset.audio(entry)) / 160 - len(labels)) < 3
        assert 0.5 < (labels != INDEX[SIL]).mean() < 0.95
        assert entry.language == "en"


def test_one_command_makes_every_net_and_the_bundles(made: Path) -> None:
    for ms, name in ((0, "bundle-0"), (40, "bundle-40"), (80, "bundle"), (160, "bundle-160")):
        bundle = load(made / name)
        assert bundle.look_ahead_ms == ms
        assert [data.name for data in bundle.spec.training_data] == ["GRID audiovisual sentence corpus, s2", CORPUS]
        stream = MotionStream(bundle)
        for start in range(0, RATE, 640):
            stream.hear(np.zeros(640, np.float32), start * 62_500)
        assert np.isfinite(stream.at(0).displacement).all()
    resumed = {
        path.parent.name: [row["resumed"] for row in map(json.loads, path.read_text().splitlines()) if "resumed" in row]
        for path in made.glob("*/log.jsonl")
    }
    assert resumed == {"speech": [False], "direct": [False], "teacher": [False], "voice": [False, True]}


def test_a_stage_alone_gives_the_same_net_as_the_run_that_was_broken_off(
    made: Path, prepared: tuple[Path, Path], tmp_path: Path, run: Run
) -> None:
    config = tmp_path / "small.toml"
    config.write_text(SMALL)
    data = [text for folder in prepared for text in ("--data", folder)]
    given = [text for stage in ("speech", "direct", "teacher") for text in ("--given", f"{stage}={made}")]
    one = ("train-engine", "mouthbank", *data, "--out", tmp_path / "one", "--stage", "voice")
    assert run(*one, "--config", config, *given) == 0
    mine, other = (read_net(folder / "voice" / NET)[0] for folder in (tmp_path / "one", made))
    assert all(torch.allclose(mine[name], other[name], atol=1e-6) for name in other)
    assert not (tmp_path / "one" / "bundle").exists()
    assert run(*one, "--resume") == 0  # there is nothing left to do


def test_a_stage_that_cannot_be_made_is_told_in_one_line(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = filmed(tmp_path / "data", 4, held=1, phones=True), tmp_path / "run"
    tried = ("train-engine", "mouthbank", "--data", data, "--out", out)
    for arguments, said in (
        (("--stage", "mouth"), "unknown stage 'mouth' of mouthbank; choose one of speech, direct, teacher, voice"),
        (("--stage", "voice"), "there is no net of stage speech in"),
        (("--given", "speech"), "cannot use --given 'speech'; give STAGE=RUN"),
        (("--given", "talk=x"), "unknown stage 'talk' of mouthbank"),
        (("--stage", "voice", "--given", f"speech={data}"), "no net of stage speech in"),
    ):
        assert run(*tried, *arguments) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"error: {said}")
        assert told.count("\n") == 1
    assert not out.exists()
