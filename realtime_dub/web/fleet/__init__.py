"""The studio on several machines: the design of ``workers``, with Ray's actors in the place of local processes.

A worker (``host``) is the whole studio without a door, in an actor that Ray starts, and starts anew where it ends. A
gateway (``gateway``) is the front that ``workers`` has: it lets people in and hands each request on to whoever has the
session; it keeps nothing, so there may be several. ``cluster`` is all that knows Ray. docs/fleet.md has the reasons.
"""
