"""What a visitor may ask of the server at most, in one table.

Each is enforced before anything is allocated or waited for, so that no visitor costs another one his mouths.
"""

from __future__ import annotations

# What is recorded.
RECORDING_S = 1_800  # longest recording
RECORDING_KEPT_S = 3_600  # how long one is offered after its end, and again after the server was started anew
RECORDING_FOUND_S = 86_400  # how old one may be that a server finds which was killed, or stopped
RECORDINGS_PER_VISITOR, RECORDINGS_IN_ALL = 50, 200  # fetched ones give way to new ones, others never
RECORDING_LEAST_ROOM = 500_000_000  # bytes left on the disk below which none is begun and those at work end

# What is uploaded. What a session uses does not count, and what none uses gives way to what is newer.
UPLOAD_KEPT_S = 3_600  # unused for so long, it is removed
UPLOADS_PER_VISITOR, UPLOADS_IN_ALL = 6, 24
RECEIVED_PER_VISITOR, RECEIVED_IN_ALL = 4, 12  # at once; the slowest gives way
RECEIVED_LEAST_S = 5.0  # before it does
UPLOAD_STALL_S = 15.0  # without a byte
UPLOAD_LONGEST_S = 600.0  # for all of it
BANKS_AT_ONCE = 2  # are read, each unpacking to 100 MB at most; one of each session is on its way, 30 MB at most
BANK_S = 60.0  # for one to arrive

# A file is looked at in a process of its own, which is killed where it asks for more.
CHECKS_AT_ONCE = 2
CHECK_S = 90.0  # as it is seen from outside: on a busy machine it comes last
CHECK_CPU_S = 40  # half an hour of MP3 takes 10
CHECK_MEMORY = 512 << 20  # bytes of addresses beyond what its libraries take
CHECK_OUTPUT = 400_000_000  # bytes of what it makes: FLAC of the sound, PNG of the picture
SOUND_S = 1_800  # longest sound
SOUND_RATE = 48_000  # what is faster is brought to this, as it leaves with no more
PICTURE_SIDE = 1_280  # larger pictures are scaled down, JPEG ones in the decoder
