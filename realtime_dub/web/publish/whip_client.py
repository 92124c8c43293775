"""The sender's side of WHIP (RFC 9725): an offer goes to a media server by POST, DELETE ends what it made."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from aiohttp import ClientConnectorCertificateError, ClientError, ClientResponse, ClientSession, ClientTimeout
from aiortc import RTCIceServer
from yarl import URL

from realtime_dub.errors import MediaError

SDP = "application/sdp"
MOST_SDP = 64 * 1024
MOST_REDIRECTS = 5
ANSWER_S, GOODBYE_S = 10.0, 3.0
REDIRECTS = (307, 308)  # the only ones that keep a POST a POST
ADVICE = {
    400: "it may want another codec or another kind of stream",
    401: "give the token as ?token=... or in REALTIME_DUB_WHIP_TOKEN",
    403: "check the token and what it allows",
    404: "check the path of the address",
    405: "check the path of the address: WHIP is not spoken there",
    409: "somebody sends there already: stop them, or take another path",
    415: "check the path of the address: WHIP is not spoken there",
    429: "wait a moment",
    503: "the server is full or starting: wait a moment",
}
_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))*)')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))')
_ICE_URL = re.compile(r"(stun|turns?):[\w.-]+(:\d{1,5})?(\?transport=(udp|tcp))?", re.IGNORECASE)


@dataclass(frozen=True)
class Answered:
    """What the server said to an offer: its answer, what to DELETE in the end, and the ICE servers that it names."""

    sdp: str
    resource: URL
    servers: tuple[RTCIceServer, ...]


class WhipClient:
    """Talks to one endpoint. ``name`` is how errors call it: without path and token, which may both be secret."""

    def __init__(
        self, endpoint: URL, token: str | None, name: str, http: ClientSession, follows_redirects: bool = True
    ) -> None:
        self._endpoint, self._name, self._http, self._follows = endpoint, name, http, follows_redirects
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ice_servers(self) -> tuple[RTCIceServer, ...]:
        """Those that the server names before it is offered anything, if it does (section 4.6)."""
        try:
            async with self._request("OPTIONS", self._endpoint, ANSWER_S) as response:
                return ice_servers(response.headers.getall("Link", [])) if response.status < 300 else ()
        except (ClientError, OSError, TimeoutError, ValueError):
            return ()  # what is wrong, the POST will find out and tell

    async def offer(self, sdp: str) -> Answered:
        """Raises MediaError."""
        try:
            return await self._offer(sdp)
        except ClientConnectorCertificateError as error:
            raise self._failed("its certificate is refused", f"mend it: {error.certificate_error}") from error
        except (ClientError, OSError, ValueError, ssl.SSLError) as error:
            number = getattr(error, "errno", None) or 0  # below 0: a name that has no address
            reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or type(error).__name__
            raise self._failed(reason, "check the address and the server") from error
        except TimeoutError as error:
            raise self._failed("it does not answer", "check the address and the server") from error

    async def goodbye(self, resource: URL) -> None:
        """End the session on the server, as far as that can be done."""
        if not self._follows and resource.origin() != self._endpoint.origin():
            return
        try:
            async with self._request("DELETE", resource, GOODBYE_S):
                pass
        except (ClientError, OSError, TimeoutError, ValueError):
            pass  # the server ends a session that sends nothing by itself

    async def _offer(self, sdp: str) -> Answered:
        url = self._endpoint
        for _ in range(MOST_REDIRECTS + 1):
            async with self._request("POST", url, ANSWER_S, sdp.encode(), {"Content-Type": SDP}) as response:
                if response.status not in REDIRECTS:
                    return await self._answered(response)
                url = self._redirected(response)
        raise self._failed("it redirects in a circle", "check the address")

    def _redirected(self, response: ClientResponse) -> URL:
        url = response.url.join(URL(response.headers.get("Location", "")))
        if not self._follows and url.origin() != self._endpoint.origin():
            raise self._failed("it redirects to another server", "give the address of that one")
        if url.scheme not in ("http", "https") or (response.url.scheme, url.scheme) == ("https", "http"):
            raise self._failed("it redirects to a place that is not safe", "check the address")
        return url

    async def _answered(self, response: ClientResponse) -> Answered:
        if response.status != 201:
            says = f"the server says {response.status} {response.reason or ''}".strip()
            raise self._failed(says, ADVICE.get(response.status, "its log may tell more"))
        location = response.headers.get("Location")
        body = bytearray()
        while len(body) <= MOST_SDP and (more := await response.content.read(MOST_SDP)):
            body += more
        if location is None or response.content_type != SDP or len(body) > MOST_SDP:
            raise self._failed("its answer is none of WHIP", "check the path of the address")
        resource = response.url.join(URL(location))
        return Answered(body.decode("utf-8", "replace"), resource, ice_servers(response.headers.getall("Link", [])))

    def _request(
        self, method: str, url: URL, seconds: float, data: bytes | None = None, more: dict[str, str] | None = None
    ) -> AbstractAsyncContextManager[ClientResponse]:
        headers = {**self._headers, **(more or {})}
        timeout = ClientTimeout(total=seconds)
        return self._http.request(method, url, data=data, headers=headers, allow_redirects=False, timeout=timeout)

    def _failed(self, reason: str, do: str) -> MediaError:
        return MediaError("cannot publish to", f"{self._name}: {reason}", do)


def ice_servers(links: Iterable[str]) -> tuple[RTCIceServer, ...]:
    """The ICE servers among Link headers; what cannot be used is left out."""
    found = []
    for url, parameters in _LINK.findall(", ".join(links)):
        given = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(parameters)}
        if given.get("rel", "").lower() == "ice-server" and _ICE_URL.fullmatch(url):
            found.append(RTCIceServer(urls=url, username=given.get("username"), credential=given.get("credential")))
    return tuple(found)
