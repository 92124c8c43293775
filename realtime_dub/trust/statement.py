"""What credentials say of a file, as a manifest of C2PA (Content Credentials, Technical Specification 2.2).

The first action says what the file was made of: of nothing else (``c2pa.created``) or of a film that has credentials
itself (``c2pa.opened``). The second (``c2pa.edited``) says what was done by whom, and when in the film, as regions of
interest in normal play time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import realtime_dub
from realtime_dub.media import NS
from realtime_dub.trust.intervals import Interval

PROGRAM = "realtime-dub"
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE = "source"  # how the manifest names the film that was dubbed
Made = Literal["film", "picture", "voice"]
# The IPTC's digital source types, by what was made. A film of which no picture was changed is a mix alone.
DUB, MIX = "compositeWithTrainedAlgorithmicMedia", "composite"
LEARNT_VOICE, VOICE = "trainedAlgorithmicMedia", "algorithmicMedia"
SYNTHETIC = (DUB, LEARNT_VOICE, VOICE, "compositeSynthetic")
_DONE = {
    "film": "the person's mouth was made to speak the voice that is heard",
    "picture": "the person's mouth was made to speak another moment's voice",
    "voice": "the voice was made of a script",
}
_TIME = re.compile(r"\d{1,12}(?:\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class Statement:
    """``trained``: of a voice, that a network says it. ``dubbed``: when pictures were changed, None = nobody knows: any
    may be. ``notices``: further choices of whoever ran it, such as a badge left out, each a word and its value.
    """

    made: Made = "film"
    engine: str = ""
    bundle: str = ""  # the network's name and version
    sha256: str = ""  # of its file
    voice: str = ""  # whose: "own", "another's", or "synthetic"
    dubbed: tuple[Interval, ...] | None = None
    duration_ns: int = 0  # of the film; 0 = unknown
    version: str = realtime_dub.__version__
    when: datetime = field(default_factory=lambda: datetime.now(UTC))
    notices: Mapping[str, str] = field(default_factory=dict)
    trained: bool = True

    @property
    def source_type(self) -> str:
        """The IPTC's name for what this is."""
        if self.made == "voice":
            return LEARNT_VOICE if self.trained else VOICE
        return MIX if self.dubbed == () else DUB

    def manifest(self, of_source: bool = False) -> dict[str, Any]:
        """For c2pa's builder. ``of_source``: an ingredient of that name is added."""
        agent = {"name": PROGRAM, "version": self.version}
        actions = {"actions": [self._first(of_source, agent), self._edited(agent)]}
        return {
            "claim_generator_info": [agent],
            "assertions": [{"label": "c2pa.actions.v2", "data": actions}],
        }

    def _first(self, of_source: bool, agent: dict[str, str]) -> dict[str, Any]:
        when = self.when.isoformat(timespec="seconds")
        if of_source:
            return {"action": "c2pa.opened", "when": when, "parameters": {"ingredientIds": [SOURCE]}}
        kind = IPTC + self.source_type
        return {"action": "c2pa.created", "when": when, "softwareAgent": agent, "digitalSourceType": kind}

    def _edited(self, agent: dict[str, str]) -> dict[str, Any]:
        told = {"engine": self.engine, "bundle": self.bundle, "bundle.sha256": self.sha256, "voice": self.voice}
        told |= {"made": self.made, "exact": "no" if self.dubbed is None else "yes"}
        told |= {f"notice.{name}": value for name, value in self.notices.items()}
        if self.duration_ns:
            told["duration"] = _seconds(self.duration_ns)
        action = {
            "action": "c2pa.edited",
            "when": self.when.isoformat(timespec="seconds"),
            "softwareAgent": agent,
            "digitalSourceType": IPTC + self.source_type,
            "description": "no picture was changed" if self.dubbed == () else _DONE[self.made],
            "parameters": {f"{PROGRAM}.{name}": value for name, value in told.items() if value},
        }
        changes = [_change(each) for each in self._regions()]
        return action | ({"changes": changes} if changes else {})

    def _regions(self) -> tuple[Interval, ...]:
        if self.dubbed is not None:
            return self.dubbed
        return ((0, self.duration_ns),) if self.duration_ns else ()


def _change(interval: Interval) -> dict[str, Any]:
    start, end = (_seconds(at_ns) for at_ns in interval)
    time = {"type": "npt", "start": start, "end": end}
    return {"description": "the mouth", "region": [{"type": "temporal", "time": time}]}


def _seconds(at_ns: int) -> str:
    """Normal play time with milliseconds."""
    return f"{at_ns / NS:.3f}"


@dataclass(frozen=True, slots=True)
class Read:
    """What a manifest says, whoever wrote it. ``dubbed``: when in the film, seconds; None = it does not say."""

    generator: str = ""
    source_type: str = ""
    when: str = ""
    dubbed: tuple[tuple[float, float], ...] | None = None
    told: Mapping[str, str] = field(default_factory=dict)  # the program's own words: engine, bundle, ...

    @property
    def synthetic(self) -> bool:
        """It says that something in it was made by a program."""
        return self.source_type in SYNTHETIC


def read(manifest: Mapping[str, Any]) -> Read:
    """Of one manifest as c2pa's reader gives it. Nothing in it is taken for well-formed: anybody may have made it."""
    told: dict[str, str] = {}
    types: list[str] = []
    dubbed: list[tuple[float, float]] = []
    when = ""
    for action in _actions(manifest):
        types += [_text(action.get("digitalSourceType")).rpartition("/")[2]]
        when = _text(action.get("when")) or when
        parameters = action.get("parameters")
        for name, value in parameters.items() if isinstance(parameters, dict) else ():
            if name.startswith(f"{PROGRAM}."):
                told[name.removeprefix(f"{PROGRAM}.")] = _text(value)
        dubbed += _times(action)
    known = told.get("exact") == "yes"
    kind = next((each for each in types if each in SYNTHETIC), next((each for each in types if each), ""))
    return Read(_generator(manifest), kind, when, tuple(dubbed) if dubbed or known else None, told)


def _actions(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for assertion in _list(manifest.get("assertions")):
        if isinstance(assertion, dict) and _text(assertion.get("label")).startswith("c2pa.actions"):
            data = assertion.get("data")
            yield from (
                each
                for each in _list(data.get("actions") if isinstance(data, dict) else None)
                if isinstance(each, dict)
            )


def _times(action: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    for change in _list(action.get("changes")):
        for region in _list(change.get("region") if isinstance(change, dict) else None):
            time = region.get("time") if isinstance(region, dict) else None
            if isinstance(time, dict):
                ends = [_text(time.get(name)) for name in ("start", "end")]
                if all(_TIME.fullmatch(each) for each in ends):
                    yield float(ends[0]), float(ends[1])


def _generator(manifest: Mapping[str, Any]) -> str:
    for info in _list(manifest.get("claim_generator_info")):
        if isinstance(info, dict):
            return f"{_text(info.get('name'))} {_text(info.get('version'))}".strip()
    return _text(manifest.get("claim_generator"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
