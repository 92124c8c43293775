"""Who confirmed that a face may be dubbed: shown, recorded, revoked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realtime_dub.errors import ConfigError

Kept = Annotated[Path, typer.Argument(help="A mouth bank, or an avatar's folder.")]
By = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Record that NAME confirms it, now.", show_default=False),
]
Revoke = Annotated[bool, typer.Option("--revoke", help="Delete the bank or the avatar, with all that is in it.")]


def consent(kept: Kept, by: By = None, revoke: Revoke = False) -> None:
    """Show who confirmed that a bank's or an avatar's face may be dubbed; record it; or revoke it."""
    if by is not None and revoke:
        raise ConfigError("cannot use --by with", "--revoke", "give one of them")
    from realtime_dub.pipeline.file import consents

    if revoke:
        typer.echo(consents.revoke(kept))
    else:
        typer.echo(consents.record(kept, by) if by is not None else consents.show(kept))
