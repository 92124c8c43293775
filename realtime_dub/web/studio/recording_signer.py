"""A recording's content credentials: what makes it is asked when it begins and ends; it is signed when it is whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from realtime_dub.pipeline.credentials import Credentials, MadeBy
from realtime_dub.trust.intervals import Film
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.tag import Tag
from realtime_dub.web.config import ServeConfig

log = logging.getLogger("realtime_dub.web")


class RecordingSigner:
    """Of one session, for one recording after the other. ``made_by``: what makes its mouths now, and whose voice it is.

    All but :meth:`sign` on the server's loop.
    """

    def __init__(
        self,
        options: SigningOptions,
        made_by: Callable[[], tuple[MadeBy, str]],
        notices: Mapping[str, str] | None = None,
    ) -> None:
        self._options, self._ask, self._notices = options, made_by, notices or {}
        self._made_by, self._voice = MadeBy(), ""

    @classmethod
    def of(cls, config: ServeConfig, made_by: Callable[[], tuple[MadeBy, str]]) -> RecordingSigner | None:
        """None where recordings are not signed."""
        return None if config.signing is None else cls(config.signing, made_by, {"badge": config.badge})

    def begin(self) -> Tag:
        """A recording begins; what its header says."""
        self._made_by, self._voice = self._ask()
        return self._made_by.tag

    def end(self) -> None:
        """It is over: another engine may be at work by now."""
        made_by, voice = self._ask()
        self._made_by += made_by
        self._voice = self._voice if voice == self._voice else "own, another's"

    def sign(self, film: Film | None) -> str | None:
        """Blocking. What the visitor should know: that it has no credentials; why is the operator's to read."""
        if film is None:
            return "it has no content credentials"
        failed: list[str] = []
        try:
            credentials = Credentials(self._options, self._voice, notices=self._notices)
            credentials.made_by = self._made_by
            credentials.sign_film(film, failed.append)
        except Exception as error:  # whatever it is, the recording is there
            failed.append(str(error))
        for why in failed:
            log.warning("a recording was not signed: %s", why)
        return "it has no content credentials" if failed else None
