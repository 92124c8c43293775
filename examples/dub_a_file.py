"""Dub a film with another voice: ``python examples/dub_a_file.py film.mp4 voice.wav dubbed.mp4``."""

import sys

import realtime_dub


def main(film: str, voice: str, output: str) -> None:
    report = realtime_dub.dub_file(
        film, output, mic=voice, progress=lambda done, total: print(done, "of", total, end="\r")
    )
    print(f"\n{output}: {report.frames['total']} frames, {report.frames['fresh']} with a mouth made for them")
    for sentence in (*report.notes, *report.lost):
        print(sentence)


if __name__ == "__main__":
    main(*sys.argv[1:4])
