"""The options of content credentials, and of the commands that sign and look at files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Trust = "Content credentials"
Credentials = Annotated[
    str,
    typer.Option(
        help="Whether files say, signed, that they are dubs, and when: on or off.",
        rich_help_panel=Trust,
    ),
]
SignCert = Annotated[
    Path | None,
    typer.Option(
        help="Sign with this certificate, a chain in PEM. Without it: one of your own, which others do not trust.",
        show_default=False,
        rich_help_panel=Trust,
    ),
]
SignKey = Annotated[
    Path | None,
    typer.Option(help="The certificate's private key (PEM).", show_default=False, rich_help_panel=Trust),
]
SignerUrl = Annotated[
    str | None,
    typer.Option(
        "--signer",
        help="A service that keeps the key of --sign-cert and signs what is posted to it: https://HOST/PATH.",
        show_default=False,
        rich_help_panel=Trust,
    ),
]
Tsa = Annotated[
    str | None,
    typer.Option(
        help="A time stamp authority that says when it was signed: http://HOST/PATH.",
        show_default=False,
        rich_help_panel=Trust,
    ),
]
SignFiles = Annotated[list[Path], typer.Argument(help="Dubs that have no credentials: they get some.")]
InspectWhat = Annotated[str, typer.Argument(help="A file, or its http:// or https:// address.")]
InspectJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
InspectTrust = Annotated[
    Path | None,
    typer.Option("--trust", help="Certificates of authorities whose signers are trusted (PEM).", show_default=False),
]
