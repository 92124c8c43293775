"""Tries a bundle's network on a backend: is it there, does it agree, how quick is it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

from export import forms, roofline, speed
from export.bundles import network_of
from export.forms import Form
from export.inputs import cases
from export.parity import Parity, checked
from export.roofline import Roof
from export.speed import Opener, Speed
from realtime_dub.errors import BundleError, UserError
from realtime_dub.inference import gpu, libraries
from realtime_dub.inference.backends.ort import OnnxSession
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.contract import CpuSettings, Opening, Precision, Progress, Session
from realtime_dub.inference.engine_cache import EngineCache
from realtime_dub.inference.session import open_session
from realtime_dub.inference.variants import together

State = Literal["ran", "built", "missing", "refused"]
BACKENDS = ("cpu", "cuda", "tensorrt", "tensorrt-ep", "tensorrt-rtx", "tensorrt-rtx-ep", "torch-tensorrt", "torch-aot")
COMPILERS = {"torch-tensorrt": "export.torch_tensorrt", "torch-aot": "export.torch_aot"}  # of trained nets
BUILD_ALONE = ("tensorrt-rtx", "tensorrt-rtx-ep")  # without a GPU, for machines that have one
NO_GPU = "this machine has no GPU of NVIDIA's to run it"


@dataclass(frozen=True)
class Asked:
    """What a trial is told."""

    precision: Precision = "fp32"
    device: str = ""
    cache: EngineCache = field(default_factory=EngineCache)
    calls: int = forms.CALLS
    progress: Progress | None = None


@dataclass(frozen=True)
class Trial:
    """What came of one."""

    bundle: str
    backend: str
    precision: Precision
    state: State
    why: str = ""
    parity: Sequence[Parity] = ()
    speeds: Sequence[Speed] = ()  # by how many streams went together
    settings: CpuSettings | None = None
    by_settings: Sequence[tuple[CpuSettings, Speed]] = ()
    roofs: Sequence[Roof] = ()  # of the same numbers of streams: what the machine could do at best
    engine_bytes: int = 0
    kept: Sequence[str] = ()  # layers in float32 of a network in float16
    way: str = ""

    @property
    def passed(self) -> bool:
        return self.state == "ran" and all(each.passed for each in self.parity)

    @property
    def median_ms(self) -> float:
        """Of one stream alone."""
        return next((each.median_ms for each in self.speeds if each.streams == 1), float("inf"))


def trial(bundle: Bundle, backend: str, asked: Asked) -> Trial:
    """Whatever goes wrong is what came of it."""
    if missing := libraries.missing(backend):
        return _no(bundle, backend, asked, "missing", f"{missing} is not installed; {libraries.NEEDS[backend].install}")
    try:
        form = forms.made(bundle, asked.precision, asked.cache, asked.calls)
        return _ran(bundle, backend, form, asked)
    except UserError as error:
        if backend not in BUILD_ALONE or gpu.found(int(asked.device or 0)) is not None:
            return _no(bundle, backend, asked, "refused", str(error))
    try:  # it builds where it cannot run
        return _built(bundle, backend, asked)
    except UserError as error:
        return _no(bundle, backend, asked, "refused", str(error))


def reference(bundle: Bundle) -> Session:
    """The trained net, where the engine can take it out of its bundle; else the file, layer by layer."""
    if find_spec("torch") is not None:
        from export.torch_session import trained_session  # loads PyTorch, which an export can do without

        if (session := trained_session(bundle)) is not None:
            return session
    return forms.plain(network_of(bundle))


def opening_of(bundle: Bundle, asked: Asked) -> Opening:
    return Opening(
        bundle.net,
        bundle.spec,
        asked.device,
        cache=asked.cache.root,
        precision=asked.precision,
        progress=asked.progress,
    )


def _ran(bundle: Bundle, backend: str, form: Form, asked: Asked) -> Trial:
    opening, model = opening_of(bundle, asked), network_of(bundle)
    if backend in COMPILERS:
        _compile(bundle, backend, form.model, opening)
    settled, by_settings = _settled(bundle, form, asked) if backend == "cpu" else (None, ())
    opening = replace(opening, settings=settled or CpuSettings())

    def open_it() -> Session:
        return open_session(model, opening, backend)

    found = checked(reference(bundle), open_it(), bundle.spec, cases(bundle.spec, asked.calls), asked.precision)
    speeds = [
        speed.measure(open_it, bundle.spec, calls=min(asked.calls, speed.CALLS)),
        *_several(bundle, backend, form, opening, asked),
    ]
    roofs = _roofs(bundle, model, settled.threads, speeds) if settled and asked.precision == "fp32" else ()
    return Trial(
        bundle.folder.name, backend, asked.precision, "ran", "", found, speeds, settled, by_settings,
        roofs, len(form.model), form.kept, form.way,
    )  # fmt: skip


def _roofs(bundle: Bundle, model: bytes, threads: int, speeds: Sequence[Speed]) -> Sequence[Roof]:
    """The least times, on the processor and in float32, where what it does at best is known."""
    work = roofline.work_of(model, bundle.spec)
    peak = roofline.peak(work.weight_bytes, threads)
    return [peak.roof(work, each.streams) for each in speeds]


def _settled(bundle: Bundle, form: Form, asked: Asked) -> tuple[CpuSettings, Sequence[tuple[CpuSettings, Speed]]]:
    """ONNX Runtime's settings on the processor, all measured, and the one to take."""
    opened = {each: _opener(form.model, each) for each in speed.settings()}
    found = speed.compared(opened, bundle.spec, min(asked.calls, 100))
    return speed.best_settings(found), tuple(found.items())


def _opener(model: bytes, settings: CpuSettings) -> Opener:
    return lambda: OnnxSession(model, settings=settings)


def _several(bundle: Bundle, backend: str, form: Form, opening: Opening, asked: Asked) -> list[Speed]:
    """More streams than one, where the network and the backend can take them together."""
    if backend in COMPILERS or (opened := forms.made_together(bundle, form, asked.cache)) is None:
        return []
    wide = replace(opening, spec=together(bundle.spec), precision="fp32")  # the form is as narrow as it should be
    calls = min(asked.calls, 60)
    found = speed.curve(lambda: open_session(opened, wide, backend), bundle.spec, calls)
    return [each for each in found if each.streams > 1]


def _compile(bundle: Bundle, backend: str, model: bytes, opening: Opening) -> None:
    from export.torch_session import trained

    if (net := trained(bundle)) is None:
        what = f"{bundle.label}: its trained net cannot be taken out of it"
        raise BundleError(f"cannot compile for {backend}", what, "use another backend")
    import_module(COMPILERS[backend]).compile_program(net, model, opening)


def _built(bundle: Bundle, backend: str, asked: Asked) -> Trial:
    """What ``BUILD_ALONE`` names, for other machines."""
    from export import ep_context
    from realtime_dub.inference.backends import ort_rtx, tensorrt

    form, opening = forms.made(bundle, asked.precision, asked.cache, asked.calls), opening_of(bundle, asked)
    if backend == ort_rtx.EP:
        size = (ep_context.built(form.model, opening) / ort_rtx.CONTEXT).stat().st_size
    else:
        size = (tensorrt.engine_of(backend, form.model, opening) / tensorrt.ENGINE).stat().st_size
    return replace(_no(bundle, backend, asked, "built", NO_GPU), engine_bytes=size, kept=form.kept, way=form.way)


def _no(bundle: Bundle, backend: str, asked: Asked, state: State, why: str) -> Trial:
    return Trial(bundle.folder.name, backend, asked.precision, state, why)
