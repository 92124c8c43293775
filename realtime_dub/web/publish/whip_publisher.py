"""``--to whip://...``: pushes picture and voice to a media server over WebRTC."""

from __future__ import annotations

import asyncio
import logging
import os
import time

from aiohttp import ClientSession
from aiortc import RTCIceServer
from yarl import URL

from realtime_dub.clock import Clock
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.media import OutputFormat
from realtime_dub.web.publish.loop_thread import LoopThread
from realtime_dub.web.publish.push import Push
from realtime_dub.web.publish.side_publisher import SidePublisher
from realtime_dub.web.publish.whip_client import WhipClient
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.upkeep import attempt

TOKEN = "REALTIME_DUB_WHIP_TOKEN"  # in the environment
SCHEMES = {"whip": "http", "whips": "https"}
CANCEL_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
ADVICE = "write it as whip://HOST[:PORT]/PATH, or whips:// for https"
log = logging.getLogger("realtime_dub.publishers")


class WhipPublisher(SidePublisher):
    """``whip://HOST[:PORT]/PATH[?token=...]`` or ``whips://`` for https; the token may also be in the environment.

    A server that goes away is connected to again, at longer and longer intervals; ``notes`` say when that was.
    """

    def __init__(self, spec: str, clock: Clock) -> None:
        super().__init__()
        self._endpoint, self._token = parse(spec)
        self.name = f"{spec.partition(':')[0].lower()}://{self._endpoint.authority}"
        self.notes: list[str] = []
        self.follows_redirects = True  # to other servers; before it is opened
        self._clock = clock
        self._http: ClientSession | None = None
        self._push: Push | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._known: tuple[RTCIceServer, ...] = ()  # ICE servers that the server has named

    def open(self, fmt: OutputFormat) -> None:
        """Connect. Raises MediaError."""
        self._loop = LoopThread("whip")
        self._timeline = OutputTimeline(self._clock, self._loop.loop)
        self._feed(self._timeline, fmt)
        self._loop.run(self._start())

    # On the loop.

    async def _start(self) -> None:
        self._http = ClientSession()
        self._client = WhipClient(self._endpoint, self._token, self.name, self._http, self.follows_redirects)
        self._known = await self._client.ice_servers()
        await self._connect()
        self._keeper = asyncio.create_task(self._keep(), name="whip keeper")

    async def _stop(self) -> None:
        """End the session on the server."""
        while self._keeper is not None and not self._keeper.done():
            self._keeper.cancel()  # more than once: Python 3.11's wait_for may lose it where both end at one moment
            await asyncio.wait({self._keeper}, timeout=CANCEL_S)
        if self._push is not None:
            await self._push.close()
        if self._http is not None:
            await self._http.close()

    async def _connect(self) -> None:
        """A connection through which something flows. Raises MediaError.

        aiortc takes ICE servers before the offer alone, and a server may name its own in the answer: where they would
        have been needed, a second offer has them.
        """
        for last in (False, True):
            push = Push(self._client, self._timeline, self._known, self.name)
            try:
                await push.connect()
            except BaseException as error:
                await push.close()
                if last or not isinstance(error, MediaError) or all(each in self._known for each in push.servers):
                    raise
                self._known = push.servers
            else:
                self._push = push
                return

    async def _keep(self) -> None:
        while True:
            assert self._push is not None
            try:
                why = await self._push.over()
            except Exception as error:
                why = str(error) or type(error).__name__
            self._note(f"{self.name}: {why}; connecting again")
            since_s = time.monotonic()
            await attempt(self._push.close())
            await self._connect_again()
            self._note(f"{self.name}: connected again after {time.monotonic() - since_s:.0f} s")

    async def _connect_again(self) -> None:
        wait_s, said = FIRST_WAIT_S, ""
        while True:
            try:
                self._known = await self._client.ice_servers() or self._known  # passwords may have run out
                return await self._connect()
            except Exception as error:  # whatever it is, the next try may go well
                if str(error) != said:
                    self._note(said := str(error))
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, 2 * wait_s)

    def _note(self, text: str) -> None:
        self.notes = [*self.notes[-20:], text]
        log.warning(text)


def parse(spec: str) -> tuple[URL, str | None]:
    """The endpoint and the token. Raises ConfigError, which shows neither path nor token."""
    scheme = spec.partition(":")[0].lower()
    try:
        url = URL(spec)
        token = url.query.get("token") or os.environ.get(TOKEN) or None
        endpoint = url.with_scheme(SCHEMES[scheme]).with_fragment(None).without_query_params("token")
    except (ValueError, KeyError) as error:
        raise ConfigError("cannot read the output", f"{scheme}://...", ADVICE) from error
    if not endpoint.host or endpoint.user or endpoint.password:
        raise ConfigError("cannot read the output", f"{scheme}://...", ADVICE)
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ConfigError("cannot use the token for", f"{scheme}://{endpoint.authority}", "it has odd characters")
    return endpoint, token
