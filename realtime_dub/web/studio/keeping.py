"""What a studio keeps for its visitors: what they sent, what was recorded, and what all of it is called."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from realtime_dub.trust.options import SigningOptions
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.studio.avatar_training import Trainings
from realtime_dub.web.studio.avatars import Avatars, FoundAvatars, KeptAvatars
from realtime_dub.web.studio.folder import ServerFolder
from realtime_dub.web.studio.names import ALL, Names
from realtime_dub.web.studio.recordings import Recordings
from realtime_dub.web.studio.uploads import FoundUploads, KeptUploads, Uploads


class Keeping(Protocol):
    """Blocking."""

    names: Names

    @property
    def uploads(self) -> KeptUploads: ...

    @property
    def avatars(self) -> KeptAvatars: ...

    @property
    def recordings(self) -> Recordings: ...

    def sweep(self, used: Collection[str]) -> None:
        """Remove what is too old; ``used`` are the uploads that sessions use."""

    def close(self) -> None:
        """Idempotent."""


class OwnKeeping:
    """In a folder of its own."""

    def __init__(self, config: ServeConfig) -> None:
        self.names = ALL
        self._folder = ServerFolder(config.port)
        self.uploads = Uploads(config.upload_mb * 1_000_000, self._folder.uploads)
        self.avatars = Avatars(config, self._folder.avatars, self.uploads)
        self.trainings = Trainings(self.avatars, self.uploads, config.train_avatars)
        self.recordings = Recordings(self._folder.recordings, signing=config.signing)
        self.revoked = self._folder.revoked

    def sweep(self, used: Collection[str]) -> None:
        self.uploads.sweep(used)
        self.avatars.sweep()
        self.recordings.sweep()

    def close(self) -> None:
        self.trainings.close()
        self.avatars.close()
        self.uploads.close()
        self._folder.close()


class SharedKeeping:
    """In folders of another process, which takes what pages send; of the recordings those that bear our number."""

    def __init__(
        self, uploads: Path, recordings: Path, avatars: FoundAvatars, names: Names, signing: SigningOptions | None
    ) -> None:
        self.names, self.avatars = names, avatars
        self.uploads = FoundUploads(uploads)
        self.recordings = Recordings(recordings, names, signing)

    def sweep(self, used: Collection[str]) -> None:
        self.recordings.sweep()

    def close(self) -> None:
        """The folders stay."""
