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
LINGER_S = 2.0  # for the rest of a body that is not wanted, so that its sender reads why
REST_BYTES, UNWANTED_BYTES = 64_000_000, 256_000  # of it: of who may ask, and of who may not
UNREAD_S = 20.0  # an answer of which nothing is taken for so long
READ_BYTES = 16 * 1024  # at a time: the smallest chunks of HTTP take 2 ms to read then, not 25

# Requests of one address (guard).
REQUESTS_PER_S, REQUESTS_BURST = 20.0, 60.0  # without the token
KNOWN_PER_S, KNOWN_BURST = 60.0, 300.0  # with it: an office may be behind one address
PARTS_PER_S, PARTS_BURST = 200.0, 600.0  # small files: opening the page asks for twenty of them
OFFERS_PER_S, OFFERS_BURST = 0.5, 10.0  # of connections for picture and sound
MOST_CALLERS = 2_000  # addresses whose rates are remembered

# Rooms (session).
ABSENT_S = 5.0  # without picture and sound: then somebody else may send in the room

# The log (logs).
LINES_PER_S, LINES_BURST = 1.0, 60.0  # of one kind; what is left out is counted
LINES_WAITING = 1_000  # where nobody reads them

# The end (stopping).
STOP_S = 4.0  # from the signal until the server ends by force, recordings finished or not
ANSWERS_S = 0.25  # of it, for requests that are being answered
