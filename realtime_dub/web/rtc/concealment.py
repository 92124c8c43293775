"""What takes the place of lost audio: Opus conceals a frame itself, where it is told that there was one.

In an Opus packet a frame of length 0 means "lost" (RFC 6716, section 3.2.1), and a packet may hold several frames. So
the packet that follows a hole is written anew, with an empty frame before its own for each that was lost; the decoder
goes on with the pitch it has heard and fades it. Redundancy that senders put into packets (in-band FEC) cannot be used:
FFmpeg's decoder has no switch for it, and so answers do not ask for it.
"""

from __future__ import annotations

LONGEST_SAMPLES = 5_760  # in one packet: 120 ms at 48 kHz, the packet's own frame among them
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)


def frame_samples(packet: bytes) -> int:
    """Samples at 48 kHz in each frame of a packet: RFC 6716, table 2."""
    config = packet[0] >> 3
    if config < 12:
        return _SILK[config % 4]
    return _HYBRID[config % 2] if config < 16 else _CELT[config % 4]


def with_lost(packet: bytes, lost: int) -> tuple[bytes, int] | None:
    """``packet`` with ``lost`` empty frames before its one; and the samples that these last.

    None where it cannot hold them: it has several frames already, or the hole is longer than it may be.
    """
    if not packet or packet[0] & 3:
        return None
    samples = frame_samples(packet)
    if (lost + 1) * samples > LONGEST_SAMPLES:
        return None
    several, variable = packet[0] | 3, 0x80 | (lost + 1)
    return bytes((several, variable, *[0] * lost)) + packet[1:], lost * samples
