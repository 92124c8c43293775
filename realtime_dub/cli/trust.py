"""The commands that sign files and look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from realtime_dub.cli.credential_options import (
    InspectJson,
    InspectTrust,
    InspectWhat,
    SignCert,
    SignerUrl,
    SignFiles,
    SignKey,
    Tsa,
)
from realtime_dub.errors import one_line
from realtime_dub.terminal import console

if TYPE_CHECKING:
    from realtime_dub.trust.inspection import Inspection
    from realtime_dub.trust.statement import Read

STATES = {
    "valid": "Its content credentials are whole, nothing was changed since, and who signed is trusted.",
    "untrusted": "Its content credentials are whole, nothing was changed since. Nobody who is trusted says who signed.",
    "broken": "The file or its content credentials were changed since it was signed.",
    "missing": "No content credentials. That proves nothing: they can be taken away.",
    "interrupted": "Unsigned: interrupted, or its content credentials were taken away. realtime-dub sign adds some.",
    "marked": "No content credentials, but marks of a dub were found.",
}


def sign(
    files: SignFiles,
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    signer: SignerUrl = None,
    tsa: Tsa = None,
) -> None:
    """Add content credentials to dubs that have none, such as one whose recording was interrupted."""
    from realtime_dub.pipeline.sign_later import sign_later
    from realtime_dub.trust.options import SigningOptions

    for path, where in sign_later(files, SigningOptions(sign_cert, sign_key, signer, tsa)):
        typer.echo(one_line(f"signed {path}" + ("" if where == path else f", credentials in {where}")))


def inspect(what: InspectWhat, as_json: InspectJson = False, trust: InspectTrust = None) -> None:
    """Tell whether a file says that it is a dub, and whether what it says is so.

    Exit codes: 0 valid, 10 untrusted, 11 broken, 12 missing, 13 interrupted, 14 marked; 2 it cannot be read.
    """
    import json

    from realtime_dub.trust.inspection import inspect as look
    from realtime_dub.trust.remote import local_copy

    with local_copy(what) as path:
        found = look(path, trust)
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        for line in lines(found):
            console().print(one_line(line), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(found.exit_code)


def lines(found: Inspection) -> list[str]:
    """For people."""
    out = [f"{found.state}: {STATES[found.state]}"]
    if found.why:
        out.append(f"why: {', '.join(found.why)}")
    if found.says is not None:
        out += _said(found.says)
        out += [f"signed by: {found.signer or 'nobody named'}" + (f", {found.signed_at}" if found.signed_at else "")]
    for source in found.sources:
        out += ["made of a film that says:", *(f"  {line}" for line in _said(source))]
    if found.tag is not None:
        out.append(f"its header: {found.tag}")
    out += [
        f"mark in the {mark.where}: {mark.start_s:.1f} to {mark.end_s:.1f} s, {mark.confidence:.0%} sure {mark.says}"
        for mark in found.marks
    ]
    return [*out, f"dubbed: {'yes' if found.dubbed else 'it does not say so'}"]


def _said(says: Read) -> list[str]:
    told = dict(says.told)
    made = " with ".join(each for each in (says.generator, told.pop("bundle", "")) if each)
    out = [f"made by: {made or 'nobody named'}" + (f", {says.when}" if says.when else "")]
    if says.source_type:
        out.append(f"kind: {says.source_type}")
    if says.dubbed is not None:
        spans = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in says.dubbed)
        out.append(f"changed: {spans or 'no picture'}")
    return out + [f"{name}: {value}" for name, value in told.items() if name not in ("exact", "made")]
