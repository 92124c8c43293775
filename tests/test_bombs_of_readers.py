"""What is little and becomes much, read by each reader of files in a process of its own: it is refused in a line,
within seconds and in bounded memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bombs
import hostile_files
import pytest
from bombs import MB

pytestmark = [pytest.mark.long, pytest.mark.computes]

READ = """
import json, resource, sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from fuzz.child import answer_of
from fuzz.kinds import KINDS
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1000
kind, data = KINDS[{kind!r}], Path({file!r}).read_bytes()
reader = kind.make()
answer_of(reader, kind.whole()[0], kind.refused)
open("/proc/self/clear_refs", "w").write("5")
before, busy_s = peak(), time.process_time()
said, wrong = answer_of(reader, data, kind.refused)
print(json.dumps([said[:2_000], wrong[:2_000], peak() - before, time.process_time() - busy_s]))
"""
TEXT_MB, PICTURE_MB = 150, 350  # more than before, at the worst moment; a text's file has 30
BUSY_S = 10.0
CUES = b"%d\n00:00:01,000 --> 00:00:02,500\nx\n\n"
MADE: dict[str, tuple[str, int, Callable[[], bytes]]] = {
    "cues": ("srt", TEXT_MB, lambda: b"".join(CUES % k for k in range(800_000))),
    "lines of a cue": ("srt", TEXT_MB, lambda: CUES[:-1] % 1 + b"x\n" * 10_000_000),
    "a line of a cue": ("srt", TEXT_MB, lambda: CUES[:-2] % 1 + b"x" * 30 * MB),
    "cues of WebVTT": ("srt", TEXT_MB, lambda: b"WEBVTT\n\n" + b"00:01.000 --> 00:02.500\nx\n\n" * 1_000_000),
    "captions": ("webvtt", TEXT_MB, lambda: b"WEBVTT\n\n" + b"00:01.000 --> 00:02.500\nx\n\n" * 100_000),
    "an order of brackets": ("order", TEXT_MB, lambda: b"a = " + b"[" * 100_000),
    "an order of tables": ("order", TEXT_MB, lambda: b"".join(b"[a%d]\n" % k for k in range(300_000))),
    "an order's number": ("order", TEXT_MB, lambda: b"pitch = " + b"9" * 10 * MB),
    "a spec of brackets": ("spec", TEXT_MB, lambda: b"[" * 100_000),
    "a spec's number": ("spec", TEXT_MB, lambda: b'{"version": ' + b"9" * 10 * MB + b"}"),
    "intervals": ("textgrid", TEXT_MB, lambda: b'File type = "ooTextFile"\n' + b'xmin = 0\ntext = "B"\n' * 1_000_000),
    "an array": ("npy", TEXT_MB, lambda: bombs.array_claiming((1 << 40, 256))),
    "a head of brackets": ("npy", TEXT_MB, bombs.nested_array),
    "landmarks": ("landmarks-npz", TEXT_MB, lambda: bombs.zipped(("points.npy", bombs.array_claiming((1 << 40, 2))))),
    "landmarks of zeros": ("landmarks-npz", TEXT_MB, lambda: bombs.zeros_zipped("points.npy", 2_000 * MB)),
    "a list of landmarks": ("landmarks-npz", TEXT_MB, bombs.listed),
    "lines of landmarks": ("landmarks-csv", TEXT_MB, lambda: b"frame,x\n" + b"1,1\n" * 7_000_000),
    "landmarks of one": ("landmarks-csv", TEXT_MB, lambda: b'# {"a": "b"}\ntime_s,x\n' + b"1,1\n" * 7_000_000),
    "a line of landmarks": ("landmarks-csv", TEXT_MB, lambda: b"frame" + b",1" * 15_000_000),
    "weights of zeros": ("checkpoint", TEXT_MB, lambda: bombs.zeros_zipped("archive/data.pkl", 2_000 * MB)),
    "a list of weights": ("checkpoint", TEXT_MB, bombs.listed),
    "a pickle of marks": ("checkpoint", TEXT_MB, lambda: b"\x80\x02" + b"(" * 20 * MB + b"."),
    "a pickle's length": ("checkpoint", TEXT_MB, lambda: b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f" + bytes(1_000)),
    "a bank": ("bank", TEXT_MB, lambda: bombs.zeros_zipped("neutral.npy", 2_000 * MB)),
    "an invitation": ("invitation", TEXT_MB, lambda: b"." * 10 * MB),
    "links": ("whip-links", TEXT_MB, lambda: b"<a>; rel=b, " * 10_000),
    "a WAV": ("program-wav", TEXT_MB, lambda: b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\x7f" + bytes(20 * MB)),
    "pixels": ("png", PICTURE_MB, lambda: hostile_files.png(16_000, 16_000)),
    "texts of a picture": ("png", PICTURE_MB, bombs.texted_png),
    "boxes in boxes": ("inspected-png", PICTURE_MB, bombs.claimed_png),
    "a picture of JPEG": ("jpg", PICTURE_MB, lambda: hostile_files.jpeg(65_500, 65_500)),
    "streams": ("mkv", PICTURE_MB, bombs.many_streams),
    "an edit list": ("mp4", PICTURE_MB, bombs.edited),
    "a title": ("mp4", PICTURE_MB, bombs.described),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells of memory")
@pytest.mark.parametrize("name", MADE)
def test_it_is_read_or_refused_in_little_time_and_memory(name: str, tmp_path: Path) -> None:
    kind, most_mb, make = MADE[name]
    file = tmp_path / "bomb"
    file.write_bytes(make())
    program = READ.format(path=sys.path, kind=kind, file=str(file))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    said, wrong, grown_mb, busy_s = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {grown_mb:.0f} MB, {busy_s:.1f} s, {said[:150]}")
    assert wrong == ""
    assert grown_mb < most_mb
    assert busy_s < BUSY_S
    assert len(said) < 500
