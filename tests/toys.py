"""Packages of other people, written into a folder: an engine that paints crops, one that gives whole frames, a backend,
and a voice made of the picture. Each is one file and one line that registers it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from benchmarks import networks as files

SIZE = 32  # pixels a side of the crops
GREEN = (40, 200, 40)  # BGR

CROP_ENGINE = """
import numpy as np

from realtime_dub.audio.frontends import open_front_end
from realtime_dub.blend.crops import patch_of
from realtime_dub.face.crop import crop_of
from realtime_dub.inference.bundle import load
from realtime_dub.media import samples_to_ns
from realtime_dub.mouth.contract import Latency
from realtime_dub.mouth.engine import Engine

ENGINE = Engine(
    "toy-painter", "a mouth of one colour", "{module}:Painter", frozenset({{"bundle", "backend"}}), file_batch=4
)


class Painter:
    name = "toy-painter"

    def __init__(self, bundle, backend="auto"):
        found = load(bundle)
        self._spec, self._session = found.spec, found.session(backend)
        self.bundle, self.backend = found.label, self._session.backend
        self._front_end, self._heard_ns = open_front_end(self._spec.audio), -(1 << 62)

    def latency(self):
        return Latency(self._spec.look_ahead_ns, self._spec.audio.half_window_ns, 1_000_000)

    def hear(self, samples, pts_ns):
        self._front_end.process(samples)
        self._heard_ns = pts_ns + samples_to_ns(len(samples), 16_000) - self._spec.look_ahead_ns

    def heard_until_ns(self):
        return self._heard_ns

    def observe(self, tracked):
        pass

    def generate(self, tracked, at_ns):
        return self.generate_batch([(tracked, at_ns)])[0]

    def generate_batch(self, asked):
        print("together", len(asked), flush=True)
        made = []
        for tracked, at_ns in asked:
            if tracked.face is None:
                made.append(None)
                continue
            square = self._spec.crop
            crop = crop_of(tracked.face, square.size, square.alignment, square.margins)
            face = crop.take(tracked.frame.image).astype(np.float32)[None] / 255
            painted = self._session.run({{"face": face}})["painted"][0]
            made.append(patch_of(tracked, crop, np.clip(painted * 255, 0, 255).astype(np.uint8), at_ns))
        return made

    def close(self):
        pass
"""

FRAME_ENGINE = """
import numpy as np

from realtime_dub.mouth.contract import Latency, WholeFrame
from realtime_dub.media import samples_to_ns
from realtime_dub.mouth.engine import Engine

ENGINE = Engine("toy-avatar", "a green frame", "{module}:Avatar", output="frame", needs_live_face=False)


class Avatar:
    name, bundle, backend = "toy-avatar", "none", "none"
    _heard_ns = -(1 << 62)

    def latency(self):
        return Latency(0, 0, 1_000_000)

    def hear(self, samples, pts_ns):
        self._heard_ns = pts_ns + samples_to_ns(len(samples), 16_000)

    def heard_until_ns(self):
        return self._heard_ns

    def observe(self, tracked):
        pass

    def generate(self, tracked, at_ns):
        return WholeFrame(np.full((90, 160, 3), {green}, np.uint8), at_ns, tracked.shot)

    def close(self):
        pass
"""

BACKEND = """
from realtime_dub.inference.backends.ort import OnnxSession


def open_counted(model, opening):
    assert opening.spec.task == "motion"
    session = OnnxSession(model)
    session.backend = "toy-backend"
    return session
"""

VOICE = """
import threading

import numpy as np

from realtime_dub.errors import EndOfStream
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.media import AudioBlock, VoiceInfo, ns_to_samples, samples_to_ns

RATE, LATE_NS = 16_000, 120_000_000


class Hum:
    '''A tone while there is a face, with a frame of context behind each frame.'''

    def __init__(self, argument):
        self._hz = float(argument or 440)
        self._changed, self._frames, self._given = threading.Condition(), [], None
        self._ended = self._closed = False

    def open(self):
        return VoiceInfo(RATE, 1, True, "a hum", LATE_NS)

    def watch(self, tracked):
        with self._changed:
            self._frames.append((tracked.frame.pts_ns, tracked.face is not None))
            self._changed.notify_all()

    def end(self):
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self):
        with self._changed:
            self._changed.wait_for(lambda: len(self._frames) > 2 or self._ended or self._closed)
            if self._closed or not self._frames:
                raise EndOfStream
            start_ns, face = self._frames.pop(0)
            end_ns = self._frames[0][0] if self._frames else start_ns + 40_000_000
        first, end = ns_to_samples(start_ns, RATE), ns_to_samples(end_ns, RATE)
        wave = 0.3 * np.sin(2 * np.pi * self._hz * np.arange(first, end) / RATE) * face
        return AudioBlock(wave.astype(np.float32)[:, None], RATE, samples_to_ns(first, RATE))

    def close(self):
        with self._changed:
            self._closed = True
            self._changed.notify_all()
"""


def install(folder: Path, module: str, source: str, group: str, name: str, attribute: str) -> dict[str, str]:
    """One file and one line, as ``pip install`` lays them down; the environment of a program that finds them."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(source)
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{attribute}\n")
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def crop_bundle(folder: Path) -> Path:
    """A network of task ``crop`` that paints the face green: it gives GREEN, whatever it is shown."""
    shape = ["batch", SIZE, SIZE, 3]
    net = files.model(
        files.graph(
            [files.node("Mul", ["face", "nothing"], ["dark"]), files.node("Add", ["dark", "green"], ["painted"])],
            [
                files.tensor("nothing", np.zeros(1, np.float32)),
                files.tensor("green", np.array(GREEN, np.float32) / 255),
            ],
            [files.value("face", shape)],
            [files.value("painted", shape)],
        )
    )
    folder.mkdir()
    (folder / "net.onnx").write_bytes(net)
    spec = {
        "format": 2,
        "task": "crop",
        "name": "toy-crops",
        "version": "1",
        "engine": "toy-painter",
        "model": "net.onnx",
        "audio": {"kind": "painter_mel"},
        "look_ahead_ms": 100,
        "window_frames": 16,
        "crop": {"size": SIZE, "alignment": "template", "margins": [0.0, 0.1, 0.0, 0.0]},
        "inputs": [{"name": "face", "shape": shape}],
        "outputs": [{"name": "painted", "shape": shape}],
        "licence": "CC0",
        "notice": "made by a test",
        "training_data": [],
        "sha256": {"net.onnx": hashlib.sha256(net).hexdigest()},
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    return folder
