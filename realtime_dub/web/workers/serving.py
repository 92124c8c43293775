"""``realtime-dub serve``: in one process, or with a worker for each core where several people may be dubbed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from realtime_dub.pipeline.credentials import Credentials
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http import server
from realtime_dub.web.studio.offered import check_offers
from realtime_dub.web.workers.crew import Crew
from realtime_dub.web.workers.front import make_front


def serve(config: ServeConfig, say: Callable[[str], None] = print) -> None:
    """Until Ctrl-C. Raises UserError where it cannot start; ``say`` gets the address for people."""
    Credentials(config.signing)  # a signer that cannot sign is told now, not after the first recording
    check_offers(config)
    count = workers_of(config)
    server.serve(config, say, make_front(lambda config: Crew(config, count)) if count > 1 else server.make_app)


def workers_of(config: ServeConfig) -> int:
    """How many ``config`` asks for: by itself one for each who may be dubbed, as far as there are cores."""
    if sys.platform == "win32":  # has no sockets of this kind
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return config.workers or min(config.max_sessions, cores)
