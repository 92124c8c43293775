"""The forms of a network that a backend is given: as it is, or with narrower numbers, or for several streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export import graph, precision
from export.bundles import network_of, sha256_of
from export.inputs import Case, cases
from export.parity import Parity, caller, checked
from realtime_dub.errors import BundleError
from realtime_dub.inference import variants
from realtime_dub.inference.backends.ort import OnnxSession, session_options
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.contract import Precision, Session
from realtime_dub.inference.engine_cache import EngineCache

CALLS = 1_000  # of a stream that is compared: 40 s
NO_OPTIMISATION = 0  # of a graph


@dataclass(frozen=True)
class Form:
    """A network as a backend is given it."""

    model: bytes
    precision: Precision
    kept: tuple[str, ...] = ()  # layers that stayed float32
    way: str = ""


def plain(model: bytes) -> Session:
    """In float32 on the processor, layer by layer as the file has them: what everything is compared with."""
    options = session_options()
    options.graph_optimization_level = type(options.graph_optimization_level)(NO_OPTIMISATION)
    return OnnxSession(model, options=options)


def made(bundle: Bundle, asked: Precision, cache: EngineCache, calls: int = CALLS) -> Form:
    """The form of a bundle's network, kept for who runs it. Raises BundleError where it goes too far from it."""
    model = network_of(bundle)
    if asked == "fp32":
        return Form(model, asked)
    some = cases(bundle.spec, min(calls, 200))
    form = _half(bundle, model, some) if asked == "fp16" else _eight_bits(bundle, some)
    variants.keep(cache, variants.wanted(sha256_of(bundle), bundle.net, asked, False), lambda: form.model)
    return form


def made_together(bundle: Bundle, form: Form, cache: EngineCache) -> bytes | None:
    """For several streams; None where the graph gives each of two streams something else than it gives one alone."""
    opened = graph.together(graph.parsed(form.model, bundle.label)).SerializeToString()
    if not streams_agree(bundle, form.model, opened):
        return None
    asked = variants.wanted(sha256_of(bundle), bundle.net, form.precision, True)
    return variants.keep(cache, asked, lambda: opened)


def streams_agree(bundle: Bundle, alone: bytes, opened: bytes) -> bool:
    """Whether two streams that go together come to what each comes to alone, to 1e-5."""
    spec = bundle.spec
    both = caller(OnnxSession(opened), variants.together(spec), 2)
    first, second = caller(OnnxSession(alone), spec), caller(OnnxSession(alone), spec)
    for feeds in cases(variants.together(spec), 8, 2)[0].calls:
        found = both(feeds)
        for place, call in enumerate((first, second)):
            own = call({name: values[place : place + 1] for name, values in feeds.items()})
            if any(not np.allclose(found[t.name][place : place + 1], own[t.name], atol=1e-5) for t in spec.outputs):
                return False
    return True


def _half(bundle: Bundle, model: bytes, some: Sequence[Case]) -> Form:
    reference = plain(model)

    def passes(narrow: bytes) -> list[Parity]:
        return checked(reference, OnnxSession(narrow), bundle.spec, some, "fp16")

    narrowed = precision.half(model, bundle.spec, some, passes)
    return Form(narrowed.model, "fp16", narrowed.kept, narrowed.way)


def eight_bits(bundle: Bundle, some: Sequence[Case]) -> list[tuple[precision.Narrowed, list[Parity]]]:
    """Both ways to eight bits, and what each costs."""
    model = network_of(bundle)
    reference = plain(model)
    ways = [precision.eight_bits(model, bundle.spec, some, static) for static in (True, False)]
    return [(each, checked(reference, OnnxSession(each.model), bundle.spec, some, "int8")) for each in ways]


def _eight_bits(bundle: Bundle, some: Sequence[Case]) -> Form:
    """By ranges that were seen, where that is near enough, else of the weights alone. Raises BundleError."""
    reasons = []
    for narrowed, found in eight_bits(bundle, some):
        if all(parity.passed for parity in found):
            return Form(narrowed.model, "int8", (), narrowed.way)
        reasons.append(f"{narrowed.way} is off by {max(parity.worst for parity in found):.3g}")
    raise BundleError("cannot narrow to int8", f"{bundle.label}: {', '.join(reasons)}", "use fp32")
