"""What a visitor may ask of the server at most, in one table.

Each is enforced before anything is allocated or waited for, so that no visitor costs another one his mouths.
"""

from __future__ import annotations

# Connections to the server (doors). Of one address means: of one IPv4 address, or of one IPv6 network of 64 bits.
MOST_DESCRIPTORS = 65_536  # asked of the system by serve, up to what it allows: a session takes about ten
MOST_CONNECTIONS = 512  # in all, or half the descriptors; where they are used up, the greediest address gives way
CONNECTIONS_PER_S, CONNECTIONS_BURST = 50.0, 600.0  # new ones of one address: a proxy may bring an office of twenty
ACCEPTED_AT_ONCE, REFUSALS_REST_S = 64, 0.02  # of refused ones: then the others on the loop have their turn
BACKLOG = 512  # connections that the system keeps until they are taken
TLS_S = 10.0  # for a TLS handshake
HEADERS_S = 10.0  # from a connection to the end of its first request's headers
IDLE_S = 30.0  # from one answer to the end of the next request's headers
HEADER_LINES, HEADER_LINE_BYTES = 64, 8_190  # of a request
BODY_BYTES_PER_S, BODY_WINDOW_S = 8_000, 15.0  # the slowest body: 64 kbit/s, over so long; 50 MB may take 1.7 hours
CHUNKED_BYTES = 8_192  # received of a body in chunks before it is asked whether they are worth it
CHUNKED_SHARE = 3  # times as many bytes as the body holds: chunks shorter than that are an attack
WASTED_CONNECTIONS = 50.0  # that one costs which brought such chunks
LINGER_S = 2.0  # for the rest of a body that is not wanted, so that its sender reads why
REST_BYTES, UNWANTED_BYTES = 64_000_000, 256_000  # of it: of who may ask, and of who may not
UNREAD_S = 20.0  # an answer of which nothing is taken for so long
READ_BYTES = 16 * 1024  # at a time: the smallest chunks of HTTP take 2 ms to read then, not 25

# Requests of one address (guard).
REQUESTS_PER_S, REQUESTS_BURST = 20.0, 60.0  # without the token
KNOWN_PER_S, KNOWN_BURST = 60.0, 120.0  # with it: an office may be behind one address; some take 2 ms of a worker
PARTS_PER_S, PARTS_BURST = 200.0, 600.0  # small files: opening the page asks for forty of them
OFFERS_PER_S, OFFERS_BURST = 0.5, 24.0  # of connections for video and audio: an office comes back as one
TOLD_S = 1.0  # what is told of all visitors together is made anew so often (told)
MOST_CALLERS = 2_000  # addresses whose rates are remembered

# What an interpreter is shown of the person (original).
INSPECTIONS = 2  # files that are looked at at a time
MOST_PICTURE = 20_000_000  # bytes, of one that a page has taken
ORIGINAL_SIZE = (640, 360)  # at most; its encoder takes less than a tenth of a core
ORIGINAL_KBPS = 800

# Rooms (room).
MOST_ROOMS = 50  # each keeps two seconds of audio, and a name that anybody may choose
MOST_LANGUAGES = 12  # of one room
MANY_VIEWERS = 20  # of one room: from then on they are told of it less often, and after who works there
VIEWERS_TOLD_S, MOST_TURNS = 0.25, 4  # changes are gathered for so long; of so many statistics one is told
FORWARDED_FROM = 60  # pictures and sounds that are sent to somebody: from then on another process does that
DUB_KEPT_S = 5.0  # a channel's pipeline, after its last interpreter has gone
DUB_AGAIN_S = 5.0  # until it is tried again where the machine could not hold it
PICTURE_CORES, SPARE_CORES = 0.5, 0.2  # of one more dubbed picture until it is measured; that are left free
MOST_OUTPUTS, OUTPUT_ALONE_S = 8, 30.0  # of all rooms; after the last of its room has gone
STILL_S = 2.0  # without a frame from a sender, or without one that leaves: its room waits
AWAY_S = 4.0  # of nothing from a sender: another one may have the room
MOST_OPERATORS = 8  # pages of operators that watch one room
SILENT_MS = 900  # of no packet from an interpreter: another one may have the floor

# Voices of programs, and captions (program, captions).
PROGRAM_AHEAD_S, SERVICE_AHEAD_S = 2, 120  # not spoken yet: of a body, which waits then; over a websocket, in bursts
SOCKET_BYTES = 1_000_000  # of one message
SOCKET_MESSAGES_PER_S, SOCKET_MESSAGES_BURST = 200.0, 1_000.0
SOCKET_FAULTS = 20  # messages that cannot be read, until it is closed
SOCKET_WAITING = 20  # pieces of the speaker's audio, a fifth of a second each, that a program has not read
SOCKET_PING_S = 10.0
CAPTION_LETTERS, CAPTION_LINES = 300, 3
CAPTIONS_PER_S, CAPTIONS_BURST = 4.0, 20.0  # of one room
CAPTIONS_WAITING = 3_000  # of one room, for their time: a talk of two hours
CAPTION_AHEAD_S, CAPTION_BEHIND_S = 14_400, 15
CAPTIONS_BODY, CAPTIONS_PAUSE_S = 2_000_000, 900.0  # bytes of one request; without any of them

# The log (logs).
LINES_PER_S, LINES_BURST = 1.0, 60.0  # of one kind; what is left out is counted
LINES_WAITING = 1_000  # where nobody reads them

# The end (stopping).
STOP_S = 4.0  # from the signal until the server ends by force, recordings finished or not
ANSWERS_S = 0.25  # of it, for requests that are being answered

# Connections for video and audio (candidates, pending): what an offer can make the server do before anybody came.
MOST_TARGETS = 20  # addresses of one visitor that are tried: a machine with ten networks, each twice
MOST_CANDIDATE_LINES = 100  # in one offer, and trickled afterwards
MOST_PENDING = 16  # handshakes under way; they take no seat
PENDING_REST_S = 2.0  # an honest handshake takes less: an older one gives way when there are too many

# What comes over one connection (floodgate). A visitor of 10 Mbit/s stays below.
DATAGRAMS_PER_S, DATAGRAMS_BURST = 1_000.0, 1_500.0
DATAGRAM_BYTES_PER_S, DATAGRAM_BYTES_BURST = 1.5e6, 2.5e6
ASK_AGAIN_S = 0.1  # after a packet was asked for that did not come; a round to another continent and back takes more
FLOOD_REST_S = 0.05  # a socket that brings more is not read for so long: the system drops it at no cost
MOST_SOURCES = 16  # SSRCs of one connection: a browser has four; each takes memory until it ends
RESENDS_PER_S, RESENDS_BURST = 400.0, 800.0  # packets sent again because they were asked for
KEY_FRAMES_PER_S, KEY_FRAMES_BURST = 2.0, 4.0  # key frames asked of us
DATA_BYTES_PER_S, DATA_BYTES_BURST = 64e3, 256e3  # of data channels
DATA_PACKETS_PER_S, DATA_PACKETS_BURST = 100.0, 300.0  # or pieces of messages, where a packet has several
DATA_HELD = 1_024  # pieces of messages that are not whole, out of order, or streams that were begun: a megabyte has 900
MESSAGES_PER_S, MESSAGES_BURST = 10.0, 50.0  # that are answered
MOST_CHANNELS = 8  # data channels of one connection; the page has one

# Video and audio before and after their decoder (headers, decoding).
MOST_SIDE, LEAST_SIDE = 4_096, 16  # pixels, as the coded frame says
MOST_CODED_PIXELS = 4_096 * 2_304
MOST_HELD_PIXELS = 44_000_000  # of the frames that a stream says its decoder has to keep: 66 MB
SIZES_PER_S, SIZES_BURST = 1.0, 8.0  # changes of size: each one builds decoder, tracking and encoder anew
FRAMES_PER_S, FRAMES_BURST = 65.0, 65.0  # that the session is given
QUEUED_FRAMES, QUEUED_FRAME_BYTES = 30, 3_000_000  # coded, before their decoder
QUEUED_AUDIO = 50  # coded, a second
HANDED_OVER = 8  # decoded, on their way to the event loop
DECODE_S_PER_S, DECODE_S_BURST = 0.35, 0.7  # of a core for one track: 1080p at 30 fps on a slow machine
DECODER_S = 1.0  # for one coded frame, by the clock: a decoder that takes longer hangs, and is killed
DECODER_MEMORY = 256 << 20  # bytes of a decoder, beyond its libraries and the frames that it gives back
DECODER_FRAMES = 5  # of one track, that its decoder has places for; most of a session's are on their way at a time
DECODERS_PER_S, DECODERS_BURST = 0.5, 5.0  # new ones of one track, for those that ended
TIMES_LARGER = 9  # than the pixels used, and the decoder's time counts in proportion: three times each side
YIELDING_PRICE = 4.0  # of a decoder's time while its sender yields to others (pipeline/precedence)
YIELDING_MS = 120  # between the frames that are then worked on
AUDIO_S_PER_S, AUDIO_S_BURST = 1.25, 5.0  # audio that comes in a second
USUAL_PIXELS = 640 * 480  # of a frame: no larger ones are never made smaller, and give way to nobody (priority)
PIXELS_PER_CORE = 1_280 * 360  # of a frame that one core dubs at 25 fps; shared where several people are dubbed
STEPS_PER_DOUBLING, MOST_STEPS = 2, 5  # of niceness, for decoders and encoders of larger frames
WHOLE_REST_S = 0.5  # between key frames that are asked of an encoder whose packets all share
KEY_FRAME_REST_S = 0.3  # between requests for a key frame
RESUME_S = 5.0  # without one what comes is decoded all the same: a stream may have none

# What waits in a session (browser input, run).
WAITING_BYTES = 192_000_000  # of frames that wait for the end of the latency budget
MOST_RUNS = 2  # pipelines of a session at a time: the one on air and the one that takes over
RUNS_PER_S, RUNS_BURST = 0.2, 4.0  # pipelines that a session begins: each takes half a second of a core to load
RUN_REST_S = 0.5  # until it is tried again, with the newest choices
RUN_AGAIN_S, RUN_CALM_S = 10.0, 60.0  # the longest rest after runs that failed; so long without one, and it counts anew

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
BANKS_PER_S, BANKS_BURST = 0.1, 4.0  # of one session: each takes 0.6 s of a core to read, by a process of its own

# Avatars (avatars, avatar_training).
FILM_BYTES, FILM_S = 500_000_000, 1_200  # of a film that one is trained of
FILM_LEAST_S = 5.0
AVATARS_SENT_IN_ALL = 24  # that visitors sent, ready to use: one that nobody uses gives way
AVATAR_SENT_KEPT_S = 86_400  # unused; whoever sent it has it
AVATAR_KEPT_S = 30 * 86_400  # one that was trained here, unused
AVATAR_UNANSWERED_S = 7 * 86_400  # one whose recording was checked waits so long for an answer; why one failed is kept
AVATAR_LEAST_ROOM = 2_000_000_000  # bytes left on the disk below which no film is taken
TRAININGS_PER_VISITOR = 2  # that wait or are at work, of one address
TRAINING_S = 4 * 3_600  # longest: a hung one ends
TRAINING_NICE = 15

# A file is looked at in a process of its own, which is killed where it asks for more.
CHECKS_AT_ONCE = 2
CHECK_S = 90.0  # as it is seen from outside: on a busy machine it comes last
CHECK_CPU_S = 40  # half an hour of MP3 takes 10
CHECK_MEMORY = 512 << 20  # bytes of addresses beyond what its libraries take
SPARE_S = 600.0  # that a process waits for a file, with its libraries loaded; then it ends
CHECK_OUTPUT = 400_000_000  # bytes of what it makes: FLAC of audio, PNG of an image
AUDIO_FILE_S = 1_800  # longest audio
AUDIO_FILE_RATE = 48_000  # what is faster is brought to this, as it leaves with no more
IMAGE_SIDE = 1_280  # larger images are scaled down, JPEG ones in the decoder
