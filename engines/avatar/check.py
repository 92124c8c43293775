"""What is good and bad about a recording before an avatar is made of it; each fault is a sentence with what to do.

Nothing is judged that cannot be measured: the numbers are in the report, and what they were held to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.avatar.cutting import PICTURES, joints_path
from engines.avatar.mattes import ALPHA
from engines.avatar.stored import Stored
from engines.common import Array
from engines.common.dataset import Dataset, Track
from engines.common.rates import STEADY_FPS
from realtime_dub.clock import VirtualClock
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.face.models import Mesh
from realtime_dub.mouth.avatar.edges import OVAL
from realtime_dub.mouth.avatar.folder import About, read_about
from realtime_dub.sources.base import read_all
from realtime_dub.sources.registry import open_video

GOOD_S = 180.0  # of a face
TURNED_DEG, TILTED_DEG = 20.0, 20.0  # the usual head, from straight ahead
SMALL_PX = 90.0  # of a face's height
NEAR = 0.62  # of the picture's height: shoulders are out of it
SHOULDERS_SURE = 0.5
HANDS_SHARE = 0.05  # of the looks
DARK, BRIGHT, FLAT = 60.0, 215.0, 18.0  # levels of a face: its mean, and its spread
ONE_SIDED = 0.55  # the darker half of the face, of the lighter one
QUIET_DB, LOUD_SHARE = -38.0, 0.002  # of speech, below full scale; samples at full scale
NOISE_DB = 18.0  # of speech above the pauses
HEARD_STILL = 0.4  # of what is said while the lips rest: another speaker
LIPS_REST = 0.012  # template units: how much the opening moves in a fifth of a second
FACES_EVERY = 50  # frames between two counts of faces
OTHERS_SHARE = 0.1  # of these counts with more than one
FULL = 0.999
HOP = 160  # samples


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``fault`` and ``do`` are empty where it is good."""

    name: str
    value: str
    fault: str = ""
    do: str = ""

    def __str__(self) -> str:
        return f"{self.fault}; {self.do}" if self.fault else f"{self.name}: {self.value}"


def check(video: Path, folder: Path) -> list[Finding]:
    """All that there is to say of the recording that the avatar in ``folder`` was prepared of."""
    dataset, about = Dataset(folder / "data"), read_about(folder)
    tracks = [dataset.load(entry) for entry in dataset.entries]
    return [
        length(tracks),
        faces(video),
        frontal(tracks),
        *framed(tracks, about, dataset),
        hands(dataset),
        *light(tracks, dataset, about),
        *sound(tracks),
    ]


def length(tracks: Sequence[Track]) -> Finding:
    seconds = sum(float(track.seen.sum()) for track in tracks) / STEADY_FPS
    shown = f"{seconds:.0f} s with a face"
    if seconds >= GOOD_S:
        return Finding("length", shown)
    fault = f"the recording is short: a face is seen for {seconds:.0f} s"
    return Finding("length", shown, fault, f"record {GOOD_S / 60:g} minutes and more")


def faces(video: Path) -> Finding:
    """How often more than one is in the picture."""
    counts = list(_counted(video))
    share = float(np.mean([count > 1 for count in counts])) if counts else 0.0
    shown = f"{share:.0%} of the pictures with more than one"
    if share <= OTHERS_SHARE:
        return Finding("faces", shown)
    return Finding("faces", shown, "more than one face is in the picture", "record one person alone")


def _counted(video: Path) -> list[int]:
    source, mesh = open_video(str(video), clock=VirtualClock(), live=False), Mesh(3)
    source.open()
    try:
        frames = (frame for number, frame in enumerate(read_all(source.read)) if number % FACES_EVERY in (0, 1))
        # The mesh looks where faces were: it finds others in the second picture at the latest.
        found = [len(mesh.find(frame.image)) for frame in frames]
    finally:
        source.close()
        mesh.close()
    return found[1::2] or found


def frontal(tracks: Sequence[Track]) -> Finding:
    turns = np.concatenate([track.rotation for track in tracks])
    yaw = np.degrees(np.arctan2(-turns[:, 2, 0], np.hypot(turns[:, 0, 0], turns[:, 1, 0])))
    pitch = np.degrees(np.arctan2(turns[:, 2, 1], turns[:, 2, 2]))
    aside, up = float(np.median(yaw)), float(np.median(pitch))
    shown = f"{abs(aside):.0f} degrees aside, {abs(up):.0f} up or down"
    if abs(aside) <= TURNED_DEG and abs(up) <= TILTED_DEG:
        return Finding("view", shown)
    way = "aside" if abs(aside) > TURNED_DEG else "up or down"
    most = max(abs(aside), abs(up))
    return Finding("view", shown, f"the head is turned {way} by {most:.0f} degrees", "look into the camera")


def framed(tracks: Sequence[Track], about: About, dataset: Dataset) -> list[Finding]:
    """How large the face is, and whether shoulders are in the picture."""
    heights = np.concatenate([np.ptp(track.landmarks()[::25, OVAL, 1], axis=1) for track in tracks])
    high = float(np.median(heights))
    share = high / about.recording.height
    size = Finding("size of the face", f"{high:.0f} pixels, {share:.0%} of the picture's height")
    if high < SMALL_PX:
        size = Finding(size.name, size.value, f"the face is small: {high:.0f} pixels high", "come nearer")
    sure = _joints(dataset)[:, :2, 2]
    seen = float((sure > SHOULDERS_SURE).all(1).mean()) if len(sure) else 0.0
    body = Finding("shoulders", f"seen in {seen:.0%} of the looks")
    if share > NEAR or seen < 0.5:
        fault = "shoulders are not in the picture"
        body = Finding(body.name, body.value, fault, "sit back until head and shoulders are in it")
    return [size, body]


def _joints(dataset: Dataset) -> Array:
    rows = []
    for entry in dataset.entries:
        with np.load(joints_path(dataset.roots[0], entry.track), allow_pickle=False) as stored:
            rows.append(stored["joints"])
    return np.concatenate(rows)


def hands(dataset: Dataset) -> Finding:
    rows = []
    for entry in dataset.entries:
        with np.load(joints_path(dataset.roots[0], entry.track), allow_pickle=False) as stored:
            rows.append(stored["hands"])
    seen = np.concatenate(rows)
    share = float(seen.mean()) if len(seen) else 0.0
    shown = f"in {share:.0%} of the looks"
    if share <= HANDS_SHARE:
        return Finding("hands", shown)
    return Finding("hands", shown, "hands are in the picture, and no drawing says where", "keep them out of it")


def light(tracks: Sequence[Track], dataset: Dataset, about: About) -> list[Finding]:
    """On the face: how light it is, how much it differs, and whether one side is darker."""
    rows = np.array([_lit(track, dataset, about) for track in tracks])
    mean, spread, sides = (float(value) for value in np.median(rows, axis=0))
    level = Finding("light", f"level {mean:.0f} of 255, spread {spread:.0f}")
    if mean < DARK:
        level = Finding(
            level.name, level.value, f"the face is dark: level {mean:.0f} of 255", "light it from the front"
        )
    elif mean > BRIGHT:
        level = Finding(level.name, level.value, f"the face is overexposed: level {mean:.0f}", "use less light")
    elif spread < FLAT:
        level = Finding(level.name, level.value, "the face has hardly any contrast", "light it from the front")
    even = Finding("sides", f"the darker half of the face has {sides:.0%} of the other's light")
    if sides < ONE_SIDED:
        even = Finding(even.name, even.value, "the face is lit from one side", "light it from the front")
    return [level, even]


def _lit(track: Track, dataset: Dataset, about: About) -> tuple[float, float, float]:
    pictures = Stored(dataset.roots[0], PICTURES, track.entry.track)
    row = len(pictures) // 2
    grey = cv2.cvtColor(pictures.read(row), cv2.COLOR_BGR2GRAY).astype(np.float32)
    face = about.shown.places(track.landmarks()[pictures.numbers[row]], about.stored)
    halves = []
    for side in (OVAL[:19], np.concatenate([OVAL[18:], OVAL[:1]])):
        mask = np.zeros(grey.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(face[np.concatenate([side, [6]])]).astype(np.int32)], (1,))
        halves.append(grey[mask > 0])
    whole, means = np.concatenate(halves), sorted(float(each.mean()) for each in halves)
    return float(whole.mean()), float(whole.std()), means[0] / max(means[1], 1.0)


def sound(tracks: Sequence[Track]) -> list[Finding]:
    """How loud the voice is, how far above what is between words, and whether it comes of these lips."""
    heard = np.concatenate([track.audio for track in tracks])
    spoken = np.concatenate([np.repeat(track.speech, HOP)[: len(track.audio)] for track in tracks])
    said, paused = _db(heard[spoken]), _floor_db(heard[~spoken])
    level = Finding("voice", f"{said:.0f} dB below full scale".replace("-", ""))
    if not spoken.any() or said < QUIET_DB:
        level = Finding(level.name, level.value, f"the voice is quiet: {-said:.0f} dB below full scale", "turn it up")
    elif (over := float((np.abs(heard) >= FULL).mean())) > LOUD_SHARE:
        level = Finding(level.name, level.value, f"the voice is cut off: {over:.1%} at full scale", "turn it down")
    clean = Finding("noise", f"speech {said - paused:.0f} dB above pauses")
    if said - paused < NOISE_DB:
        fault = f"there is noise: the voice is only {said - paused:.0f} dB above it"
        clean = Finding(clean.name, clean.value, fault, "record in a quiet room, near the microphone")
    return [level, clean, _own_lips(tracks)]


def _db(samples: Array) -> float:
    if not len(samples):
        return -120.0
    return float(20 * np.log10(max(1e-6, np.sqrt(np.mean(np.square(samples, dtype=np.float64))))))


def _floor_db(samples: Array) -> float:
    """What is left between words, ends of words and breaths aside: the quieter of its hops, dB."""
    hops = samples[: len(samples) // HOP * HOP].reshape(-1, HOP)
    return _db(np.array([np.quantile(np.sqrt(np.square(hops).mean(1)), 0.25)])) if len(hops) else -120.0


def _own_lips(tracks: Sequence[Track]) -> Finding:
    still, all_spoken = 0, 0
    for track in tracks:
        opening = mean_lip_opening(track.canonical)
        spoken = track.speech[: 4 * len(opening)].reshape(-1, 4).mean(1) > 0.5
        reach = np.stack([np.roll(opening, shift) for shift in (-3, -2, -1, 0, 1, 2, 3)])
        resting = np.ptp(reach, axis=0) < LIPS_REST
        still += int((spoken & resting[: len(spoken)]).sum())
        all_spoken += int(spoken.sum())
    share = still / max(1, all_spoken)
    shown = f"{share:.0%} of what is said while the lips rest"
    if share <= HEARD_STILL:
        return Finding("speaker", shown)
    fault = f"somebody else is heard: the lips rest in {share:.0%} of what is said"
    return Finding("speaker", shown, fault, "record one speaker, and nobody else in the room")


def report(folder: Path, findings: Sequence[Finding], dataset: Dataset) -> Path:
    """One page, ``report.md``, with a sheet of pictures beside it."""
    rows = [
        f"| {each.name} | {each.value} | {'; '.join(filter(None, (each.fault, each.do))) or 'good'} |"
        for each in findings
    ]
    faults = sum(bool(each.fault) for each in findings)
    about = read_about(folder)
    head = f"# Recording: {about.recording.name}\n\n{_told(faults)}\n\n![Pictures of it](pictures/recording.png)\n"
    table = "\n".join(["", "| looked at | found | |", "|---|---|---|", *rows, ""])
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    cv2.imwrite(str(pictures / "recording.png"), sheet(dataset))
    path = folder / "report.md"
    path.write_text(
        f"{head}{table}\nBelow each picture: what of it is the person. Shoulders: pictures/shoulders.png.\n", "utf-8"
    )
    return path


def _told(faults: int) -> str:
    return "Nothing is wrong with it." if not faults else f"{faults} {'thing' if faults == 1 else 'things'} to mend."


def sheet(dataset: Dataset, columns: int = 6, side: int = 192) -> Array:
    """Pictures over their mattes (2 * side, columns * side, 3)."""
    data, tiles = dataset.roots[0], []
    for number in np.linspace(0, 1, columns):
        entry = dataset.entries[round(number * (len(dataset.entries) - 1))]
        row = round(number * (len(Stored(data, PICTURES, entry.track)) - 1))
        picture, matte = (Stored(data, kind, entry.track).read(row) for kind in (PICTURES, ALPHA))
        both = np.concatenate([picture, cv2.cvtColor(matte, cv2.COLOR_GRAY2BGR)])
        tiles.append(cv2.resize(both, (side, 2 * side), interpolation=cv2.INTER_AREA))
    return np.concatenate(tiles, 1)
