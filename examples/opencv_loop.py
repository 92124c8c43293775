"""Dub in a loop of your own: ``python examples/opencv_loop.py film.mp4 voice.wav shown``.

Reads a film (or a camera: a number) with OpenCV and a 16-bit WAV file. Shows the dubbed frames in a window, or writes
them as PNG files into the folder ``shown`` where one is named.
"""

import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from realtime_dub import DubbedFrame, Dubber

FPS = 25


def voice_of(path: str) -> tuple[np.ndarray, int]:
    """Samples (n, channels) and their rate."""
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return samples.reshape(-1, file.getnchannels()), file.getframerate()


def dubbed(film: str, voice: str) -> Iterator[DubbedFrame]:
    samples, rate = voice_of(voice)
    camera = cv2.VideoCapture(int(film) if film.isdecimal() else film)
    with Dubber(rate=rate, channels=samples.shape[1], fps=FPS) as dubber:
        for k in range(len(samples) * FPS // rate):
            there, image = camera.read()
            if not there:
                break
            first, end = (at * rate // FPS for at in (k, k + 1))
            dubber.feed_audio(samples[first:end], time_s=first / rate)
            dubber.feed_frame(image, time_s=k / FPS)
            yield from dubber.read()
        yield from dubber.flush()
    camera.release()


def main(film: str, voice: str, folder: str | None = None) -> None:
    for k, frame in enumerate(dubbed(film, voice)):
        if folder is not None:
            cv2.imwrite(str(Path(folder) / f"{k:05}.png"), frame.image)
        else:
            cv2.imshow("dubbed", frame.image)
            if cv2.waitKey(1000 // FPS) == 27:  # Escape
                break


if __name__ == "__main__":
    main(*sys.argv[1:])
