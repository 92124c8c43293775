"""``--to webrtc``: a page on which anyone who opens it watches the picture and hears its delayed voice."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import ValidationError

from realtime_dub.clock import Clock
from realtime_dub.errors import ConfigError
from realtime_dub.media import OutputFormat
from realtime_dub.validation import first_problem
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http.connectivity import with_token
from realtime_dub.web.publish.loop_thread import LoopThread
from realtime_dub.web.publish.side_publisher import SidePublisher
from realtime_dub.web.publish.viewers import Viewers
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.rtc.ports import loop_factory

PORT, VIEWERS = 8090, 8
SECRETS = {"token": "REALTIME_DUB_TOKEN", "turn_password": "REALTIME_DUB_TURN_PASSWORD"}  # in the environment
OPTIONS = (
    *("token", "viewers", "codec", "bitrate_kbps", "max_bitrate_kbps", "tls_cert", "tls_key", "self_signed", "stun"),
    *("turn", "turn_user", "turn_password", "public_ip", "udp_ports", "media_to"),
)
SHORT = re.compile(r"webrtc(:(?P<port>\d+))?", re.IGNORECASE)
ADVICE = "write webrtc, webrtc:PORT or webrtc://HOST:PORT?token=..."


class WebRtcPublisher(SidePublisher):
    """``webrtc``, ``webrtc:PORT`` or ``webrtc://HOST[:PORT][?OPTION=VALUE&...]``, options named as those of ``serve``.

    Server, encoders and connections have a thread and a loop of their own; ``publish`` hands over and returns.
    """

    name = "webrtc"

    def __init__(self, spec: str, clock: Clock) -> None:
        super().__init__()
        self.config = parse(spec)
        self.address: str | None = None  # to open; once it is open
        self._clock = clock
        self._viewers: Viewers | None = None

    def open(self, fmt: OutputFormat) -> None:
        """Raises ConfigError where it cannot listen or a certificate cannot be used."""
        self.config = with_token(self.config)
        self._loop = LoopThread("webrtc", loop_factory(self.config))
        timeline = OutputTimeline(self._clock, self._loop.loop)
        self._viewers = Viewers(self.config, timeline, fmt.badge)
        self.address = self._loop.run(self._viewers.start())
        self._feed(timeline, fmt)

    async def _stop(self) -> None:
        """Tell the viewers that it is over."""
        if self._viewers is not None:
            await self._viewers.close()


def parse(spec: str) -> ServeConfig:
    """Raises ConfigError; what it says contains no value."""
    if short := SHORT.fullmatch(spec):
        return _config({"port": short["port"] or str(PORT)}, {})
    try:
        parts = urlsplit(spec)
        host, port = parts.hostname, parts.port
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise ConfigError("cannot read the output", "webrtc://...", ADVICE) from error
    if not host or parts.path.strip("/") or parts.username or parts.fragment:
        raise ConfigError("cannot read the output", "webrtc://...", ADVICE)
    return _config({"host": unquote(host), "port": str(PORT if port is None else port)}, given)


def _config(where: dict[str, str], given: dict[str, str]) -> ServeConfig:
    options = {name.replace("-", "_").lower(): value for name, value in given.items()}
    if unknown := sorted(set(options) - set(OPTIONS)):
        choices = ", ".join(name.replace("_", "-") for name in OPTIONS)
        raise ConfigError("unknown option of webrtc:", unknown[0], f"choose from {choices}")
    values: dict[str, Any] = {"max_sessions": options.pop("viewers", VIEWERS), **where, **options}
    for name, variable in SECRETS.items():
        values.setdefault(name, os.environ.get(variable) or None)
    try:
        return ServeConfig.model_validate(values)
    except ValidationError as error:
        problem = first_problem(error)
        name = problem.where.replace("max_sessions", "viewers") or "the options"
        raise ConfigError("cannot use", f"{name} of webrtc", problem.what) from None
