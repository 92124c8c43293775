"""A mouth that is open in all that was seen of it: shut all the same, in silence and for p, b and m."""

from __future__ import annotations

import wave
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.expression import EXPRESSIONS, bent
from realtime_dub.blend.composite import Compositor
from realtime_dub.config import FileConfig, build
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import LIPS, LIPS_INNER, LIPS_OUTER, mean_lip_opening
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import MS, Frame, Image
from realtime_dub.mouth.mouthbank.bank import CLOSED_SHARE, Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.motion import Motion
from realtime_dub.mouth.mouthbank.render import Renderer
from realtime_dub.mouth.mouthbank.shut import shut_shape
from realtime_dub.mouth.mouthbank.style import Style
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.sources.image import ImageSource
from tests.faces import jaw_drop, opening_of, read, tracked_portrait
from tests.media_files import video_images

pytestmark = pytest.mark.computes

AMOUNTS = (0.12, 0.2, 0.3)
TOOTH = (235, 240, 245)


@cache
def laughing(amount: float) -> Image:
    """The portrait with its mouth open by ``amount`` of its width and a row of white teeth under the upper lip."""
    tracked, bank = tracked_portrait(), Bank()
    bank.observe(tracked)
    patch = Renderer(bank).render(tracked, jaw_drop(amount), 1.0, 0)
    assert patch is not None
    image = Compositor().compose(tracked, patch, 1.0)
    face = read(image).face
    assert face is not None
    upper, lower = face.points[LIPS_INNER[2:9], :2], face.points[LIPS_INNER[18:11:-1], :2]
    teeth = np.concatenate([upper, (upper + 0.6 * (lower - upper))[::-1]])
    cv2.fillPoly(image, [np.rint(8 * teeth).astype(np.int32)], TOOTH, cv2.LINE_AA, 3)
    return image


def white(image: Image) -> int:
    """Pixels of teeth: white where the portrait is not."""
    bright, own = (each[200:340, 160:360].min(-1) > 200 for each in (image, tracked_portrait().frame.image))
    return int((bright & ~own).sum())


def spoken(tracked: TrackedFrame, bank: Bank, displacement: Points) -> Image:
    patch = Renderer(bank).render(tracked, Style()(Motion(displacement, 1.0), bank, 1.0), 1.0, 0)
    assert patch is not None
    return Compositor().compose(tracked, patch, 1.0)


def seen(image: Image) -> tuple[TrackedFrame, Bank]:
    tracked, bank = read(image), Bank()
    bank.observe(tracked)
    return tracked, bank


@pytest.mark.parametrize("amount", AMOUNTS)
def test_a_laughing_face_shuts_its_mouth_over_its_teeth(amount: float) -> None:
    image = laughing(amount)
    tracked, bank = seen(image)
    assert opening_of(image) > 0.08
    shut = spoken(tracked, bank, jaw_drop(0.0))
    assert opening_of(shut) < 0.035
    assert white(shut) < 0.05 * white(image)


def test_a_wide_smile_pulls_no_teeth_over_its_upper_lip() -> None:
    """Everything between the lips is white, and nothing of it is seen once they are shut."""
    face = read(laughing(0.3)).face
    assert face is not None
    tracked, bank = seen(bent(laughing(0.3), face, EXPRESSIONS["smile"]))
    assert tracked.face is not None
    inside = np.zeros_like(tracked.frame.image)
    lips = np.rint(8 * tracked.face.points[LIPS_INNER, :2]).astype(np.int32)
    cv2.fillPoly(inside, [lips], (255, 255, 255), cv2.LINE_AA, 3)
    shut = spoken(TrackedFrame(Frame(inside, 0, 0), tracked.face), bank, jaw_drop(0.0))
    assert (inside > 128).sum() > 3000
    assert (shut > 128).sum() < 30


def test_and_opens_it_as_far_as_told() -> None:
    tracked, bank = seen(laughing(0.3))
    amounts = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.25])
    openings = [opening_of(spoken(tracked, bank, jaw_drop(amount))) for amount in amounts]
    assert np.corrcoef(amounts, openings)[0, 1] > 0.95
    assert openings[-1] == pytest.approx(0.25, abs=0.07)


def test_teeth_stay_where_they_are_while_lips_close_over_them() -> None:
    image = laughing(0.3)
    tracked, bank = seen(image)
    half = spoken(tracked, bank, jaw_drop(0.15))
    teeth = half[200:340, 160:360].min(-1) > 225
    assert teeth.sum() > 50
    assert np.abs(half.astype(int) - image)[200:340, 160:360][teeth].max() < 30


def test_nothing_changes_where_the_target_is_the_picture() -> None:
    image = laughing(0.2)
    tracked, bank = seen(image)
    patch = Renderer(bank).render(tracked, Style()(Motion(jaw_drop(0.0), 1.0), bank, 1.0), 0.02, 0)
    assert patch is not None
    changed = Compositor().compose(tracked, patch, 1.0).astype(int) - image
    assert np.abs(changed).mean() < 0.3


def test_a_photograph_rests_shut_in_silence_and_a_live_mouth_is_handed_back(tmp_path: Path) -> None:
    path = tmp_path / "laughing.png"
    cv2.imwrite(str(path), laughing(0.2))
    source = ImageSource(path)
    source.open()
    tracked = TrackedFrame(source.read(), read(laughing(0.2)).face)
    generator = MouthbankGenerator()
    patch = generator.generate(tracked, 0)
    assert patch is not None
    assert opening_of(Compositor().compose(tracked, patch, 1.0)) < 0.035
    live = TrackedFrame(Frame(tracked.frame.image, 0, 0), tracked.face)
    assert generator.generate(live, 0) is None
    shut = TrackedFrame(Frame(tracked_portrait().frame.image, 0, 0, still=True), tracked_portrait().face)
    assert MouthbankGenerator().generate(shut, 0) is None


def test_a_photograph_dubbed_with_silence_is_shut(tmp_path: Path) -> None:
    picture, voice, output = tmp_path / "laughing.png", tmp_path / "silence.wav", tmp_path / "out.mkv"
    cv2.imwrite(str(picture), laughing(0.2))
    with wave.open(str(voice), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    run_file(build(FileConfig, input=str(picture), mic=str(voice), output=output, quiet=True))
    frames = video_images(output)
    assert len(frames) >= 10
    assert max(opening_of(frame) for frame in (frames[0], frames[-1])) < 0.04


def test_a_bank_of_a_laughing_photograph_knows_it(tmp_path: Path) -> None:
    _, bank = seen(laughing(0.2))
    bank.save(tmp_path / "me.bank")
    assert Bank.load(tmp_path / "me.bank").shut is not None


def dropped(amount: float) -> Points:
    shape = TEMPLATE.copy()
    shape[LOWER] += jaw_drop(amount)
    return shape


def test_who_was_seen_shut_is_not_guessed_at_and_not_forgotten() -> None:
    bank = Bank()
    for k, amount in enumerate(np.tile(np.linspace(-0.06, 0.2, 25), 2)):
        bank.learn_face(dropped(float(amount)), k * 120 * MS)
    assert bank.shut is None
    before = bank.closed
    for k in range(50, 450):
        bank.learn_face(dropped(0.2), k * 120 * MS)  # a long laugh
    assert bank.shut is None
    assert before is not None
    assert mean_lip_opening(bank.closed) < 0.04


def test_a_speaker_whose_lips_are_found_apart_at_their_nearest_is_taken_as_found() -> None:
    bank = Bank()
    amounts = (*np.linspace(-0.03, 0.2, 12), *np.tile(np.linspace(0.02, 0.2, 22), 3))
    for k, amount in enumerate(amounts):
        bank.learn_face(dropped(float(amount)), k * 120 * MS)
    found = mean_lip_opening(np.stack([dropped(float(amount)) for amount in amounts])) / mouth_width(bank.neutral)
    nearest = mean_lip_opening(bank.closed) / mouth_width(bank.neutral)
    assert 0.08 < np.quantile(found, CLOSED_SHARE) < 0.12
    assert nearest == pytest.approx(
        np.quantile(found, CLOSED_SHARE), abs=0.01
    )  # not what the first looks were taken for
    assert bank.shut is None


def test_the_guess_is_shut_and_has_the_faces_own_proportions() -> None:
    portrait = tracked_portrait().face
    assert portrait is not None
    shape = portrait.canonical.copy()
    shape[LOWER] += jaw_drop(0.25)
    guess = shut_shape(shape)
    assert guess is not None
    assert mean_lip_opening(guess) < 0.005
    width = mouth_width(portrait.canonical)
    off = np.linalg.norm((guess - portrait.canonical)[LIPS, :2], axis=1).mean() / width
    assert off < 0.5 * np.linalg.norm((shape - portrait.canonical)[LIPS, :2], axis=1).mean() / width
    assert shut_shape(portrait.canonical) is None


def test_a_wide_smile_becomes_narrower() -> None:
    shape = dropped(0.15)
    shape[LIPS, 0] *= 1.3
    shape[LIPS_OUTER[[0, 10]], 1] -= 0.15
    guess = shut_shape(shape)
    assert guess is not None
    assert 1.0 < mouth_width(guess) < 1.15
    assert np.abs(np.delete(guess, LOWER, 0) - np.delete(shape, LOWER, 0)).max() == 0


def test_a_face_between_open_and_shut_is_guessed_in_part() -> None:
    openings = []
    for amount in np.linspace(0, 0.1, 21):
        shape = dropped(float(amount))
        guess = shut_shape(shape)
        openings.append(float(mean_lip_opening(shape if guess is None else guess)))
    assert np.abs(np.diff(openings)).max() < 0.03
    assert openings[-1] < 0.01
