"""A network of task ``crop`` at work: windows and faces in, faces out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from realtime_dub.errors import BundleError
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import CropTaskSpec
from realtime_dub.media import Floats, Image
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.painter.layout import Sizes, layout_of

TRIES = 3  # calls by which its time is measured, behind one that loads what it needs
FULL = 255.0


class Shown(NamedTuple):
    """What one call for one frame is made of."""

    window: Floats  # (hops, features)
    face: Image  # (size, size, 3) BGR, with its lower part still there
    reference: Image  # the same person at another moment


class PainterNetwork:
    """``took_ns``: one call, as it was measured when it was opened."""

    def __init__(self, bundle: Bundle, engine: str, backend: str = AUTO) -> None:
        """Raises BundleError where the bundle is no painter's, or what it gives for nothing is no face."""
        spec = bundle.spec
        if not isinstance(spec, CropTaskSpec):
            raise BundleError(
                "no painter's bundle:", f"{spec.name}: its task is {spec.task}", "choose another --bundle"
            )
        if spec.engine != engine:
            what = f"{spec.name}: it is for the engine {spec.engine}"
            raise BundleError("cannot use bundle", what, f"give --engine {spec.engine}")
        if spec.audio.rate != VOICE_RATE:
            raise BundleError("cannot use bundle", f"{spec.name}: it hears {spec.audio.rate} Hz", "choose another")
        self.spec = spec
        sizes = Sizes(spec.window_frames, spec.audio.features, spec.crop.size)
        named = [(each.name, each.shape) for each in spec.inputs], [(each.name, each.shape) for each in spec.outputs]
        self._layout = layout_of(spec.name, *named, sizes)
        self.session = bundle.session(backend)
        self._hidden = round(spec.crop.hidden_from * spec.crop.size)
        self.took_ns = self._tried()

    def paint(self, shown: Sequence[Shown]) -> list[Image | None]:
        """A face (size, size, 3) BGR for each; None for one with numbers that are none. Raises BundleError."""
        if self._layout.open or len(shown) == 1:
            return self._together(shown)
        return [self._together([each])[0] for each in shown]

    def _together(self, shown: Sequence[Shown]) -> list[Image | None]:
        faces, references = (
            np.stack(each).astype(np.float32) / np.float32(FULL)
            for each in ([s.face for s in shown], [s.reference for s in shown])
        )
        faces[:, self._hidden :] = 0
        values = {
            "voice": np.stack([each.window for each in shown]),
            "face": faces,
            "reference": references,
        }
        feeds = {}
        for port in self._layout.inputs:
            of = np.concatenate([faces, references], 3) if port.role == "both" else values[port.role]
            feeds[port.name] = port.filled(of)
        return [_image(each) for each in self._layout.images(self._run(feeds, len(shown)))]

    def _run(self, feeds: dict[str, Floats], count: int) -> Floats:
        name, output = self.spec.name, self._layout.output
        try:
            given = self.session.run(feeds)[output.name]
        except BundleError:
            raise
        except Exception as error:  # each backend has its own tree
            why = f"{name}: its network is not as its spec says: {type(error).__name__}: {error}"
            raise BundleError("cannot run bundle", why, "fetch it again") from error
        if given.dtype != np.float32 or given.shape != (count, *output.rest):
            what = f"{name}: it gave {output.name} as {given.dtype}{list(given.shape)}"
            raise BundleError("cannot run bundle", what, "fetch it again")
        return np.asarray(given)

    def _tried(self) -> int:
        """What one call takes. Silence over a grey face has to give a face."""
        grey = np.full((self.spec.crop.size, self.spec.crop.size, 3), 128, np.uint8)
        silence = np.zeros((self.spec.window_frames, self.spec.audio.features), np.float32)
        times = []
        for _ in range(1 + TRIES):
            began_ns = time.perf_counter_ns()
            if self.paint([Shown(silence, grey, grey)])[0] is None:
                raise BundleError("cannot run bundle", f"{self.spec.name}: it gives no face", "choose another")
            times.append(time.perf_counter_ns() - began_ns)
        return sorted(times[1:])[TRIES // 2]


def _image(painted: Floats) -> Image | None:
    if not np.isfinite(painted).all():
        return None
    return np.asarray(np.rint(np.clip(painted, 0, 1) * FULL), np.uint8)
