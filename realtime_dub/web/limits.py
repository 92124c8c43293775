"""What a visitor may ask of the server at most, in one table.

Each is enforced before anything is allocated or waited for, so that no visitor costs another one his mouths.
"""

from __future__ import annotations

# Connections for picture and sound (candidates, pending): what an offer can make the server do before anybody came.
MOST_TARGETS = 20  # addresses of one visitor that are tried: a machine with ten networks, each twice
MOST_CANDIDATE_LINES = 100  # in one offer, and trickled afterwards
MOST_PENDING = 16  # handshakes under way; they take no seat
PENDING_REST_S = 2.0  # an honest handshake takes less: an older one gives way when there are too many

# What comes over one connection (floodgate). A visitor of 10 Mbit/s stays below.
DATAGRAMS_PER_S, DATAGRAMS_BURST = 1_000.0, 1_500.0
DATAGRAM_BYTES_PER_S, DATAGRAM_BYTES_BURST = 1.5e6, 2.5e6
FLOOD_REST_S = 0.05  # a socket that brings more is not read for so long: the system drops it at no cost
MOST_SOURCES = 16  # SSRCs of one connection: a browser has four; each takes memory until it ends
RESENDS_PER_S, RESENDS_BURST = 400.0, 800.0  # packets sent again because they were asked for
KEY_FRAMES_PER_S, KEY_FRAMES_BURST = 2.0, 4.0  # whole pictures asked of us
DATA_BYTES_PER_S, DATA_BYTES_BURST = 64e3, 256e3  # of data channels
DATA_PACKETS_PER_S, DATA_PACKETS_BURST = 100.0, 300.0
MESSAGES_PER_S, MESSAGES_BURST = 10.0, 50.0  # that are answered
MOST_CHANNELS = 8  # data channels of one connection; the page has one

# Pictures and sound before and after their decoder (headers, decoding).
MOST_SIDE, LEAST_SIDE = 4_096, 16  # pixels, as the coded picture says
MOST_CODED_PIXELS = 4_096 * 2_304
MOST_HELD_PIXELS = 44_000_000  # of the pictures that a stream says its decoder has to keep: 66 MB
SIZES_PER_S, SIZES_BURST = 1.0, 8.0  # changes of size: each one builds decoder, tracking and encoder anew
PICTURES_PER_S, PICTURES_BURST = 65.0, 65.0  # that the session is given
QUEUED_PICTURES, QUEUED_PICTURE_BYTES = 30, 3_000_000  # coded, before their decoder
QUEUED_SOUNDS = 50  # coded, a second
HANDED_OVER = 8  # decoded, on their way to the event loop
DECODE_S_PER_S, DECODE_S_BURST = 0.35, 0.7  # of a core for one track: 1080p at 30 fps on a slow machine
SOUND_S_PER_S, SOUND_S_BURST = 1.25, 5.0  # sound that comes in a second
KEY_FRAME_REST_S = 0.3  # between requests for a whole picture
RESUME_S = 5.0  # without one what comes is decoded all the same: a stream may have none

# What waits in a session (inbound, run).
WAITING_BYTES = 128_000_000  # of pictures that wait for the end of the latency budget
MOST_RUNS = 2  # pipelines of a session at a time: the one on air and the one that takes over
RUNS_PER_S, RUNS_BURST = 0.5, 4.0  # pipelines that a session begins: each takes half a second of a core to load
RUN_REST_S = 0.5  # until it is tried again, with the newest choices
