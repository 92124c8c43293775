"""The command line. What a command needs is imported when it runs, so that help and errors come at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

from realtime_dub import faults, signals, standard_streams
from realtime_dub.cli.avatar import pack_avatar, speak_as
from realtime_dub.cli.consent import consent
from realtime_dub.cli.files import compare_openness, dub_file, list_engines, make_bank
from realtime_dub.cli.fleet import fleet
from realtime_dub.cli.licences import licences
from realtime_dub.cli.live import live
from realtime_dub.cli.machine import devices, doctor, serve
from realtime_dub.cli.output import say
from realtime_dub.cli.trust import inspect, sign
from realtime_dub.cli.voice import make_voice
from realtime_dub.errors import ConfigError, DependencyError, RealtimeDubError

app = typer.Typer(
    name="realtime-dub",
    help="Dub yourself live: your camera and a voice go in, your own mouth speaking that voice comes out, in step.\n\n"
    "Without a command it runs live until Ctrl-C.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(live)
app.command("file")(dub_file)
app.command("voice")(make_voice)
app.command("avatar")(speak_as)
app.command("pack")(pack_avatar)
app.command("enroll")(make_bank)
app.command("engines")(list_engines)
app.command("sign")(sign)
app.command("inspect")(inspect)
openness = typer.Typer(help="How far mouths open over time.", no_args_is_help=True)
openness.command("compare")(compare_openness)
openness.callback()(lambda: None)
app.add_typer(openness, name="openness")
app.add_typer(fleet, name="fleet")
app.command()(serve)
app.command()(devices)
app.command()(doctor)
app.command()(licences)
app.command()(consent)
USAGE_ERROR: Any = typer.BadParameter.__base__  # all that can be wrong with options and arguments
FAULTS = faults.OURS
INTERRUPTED = 130  # what a shell reports for Ctrl-C


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Errors are one red line on standard error."""
    try:
        with signals.raised():
            code = app(args=arguments, prog_name="realtime-dub", standalone_mode=False)
    except RealtimeDubError as error:
        return _fail(str(error), error.exit_code)
    except USAGE_ERROR as error:
        return _misused(error)
    except ImportError as error:
        missing = DependencyError("cannot load", f"{error.name or 'a library'}: {error}", "run realtime-dub doctor")
        return _fail(str(missing), missing.exit_code)
    except signals.Terminated as error:
        return _fail("stopped", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", INTERRUPTED)
    except Exception as error:
        line = FAULTS.line(error, "in the command")
        return _fail(line, faults.EXIT_CODE) if line is not None else faults.EXIT_CODE
    if code == INTERRUPTED:  # Typer's own answer to Ctrl-C
        return _fail("stopped", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _misused(error: Any) -> int:
    """What is wrong with options and arguments, and whose help tells of them. Without words: the help was shown."""
    if not (message := error.format_message()):
        return ConfigError.exit_code
    asked = error.ctx.command_path if error.ctx is not None else "realtime-dub"
    return _fail(f"{message.rstrip('.')}. See {asked} --help.", ConfigError.exit_code)


def main() -> None:
    """The ``realtime-dub`` command."""
    standard_streams.make_safe()
    faults.catch_everything(FAULTS, say)
    signals.never_lost()
    signals.only_in_a_run()
    code = run()
    if (why := standard_streams.why_output_is_lost()) is not None:
        code = max(code, _fail(f"cannot write to standard output: {why}", ConfigError.exit_code))
    code = code or (faults.EXIT_CODE if FAULTS.fatal else 0)
    signals.at_once(code)
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    say(message)
    return code
