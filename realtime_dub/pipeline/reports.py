"""The files of a run: none is written over another, and what is written at its end is looked at before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

from realtime_dub.config import FileConfig, LiveConfig
from realtime_dub.errors import MediaError, one_line
from realtime_dub.mouth.contract import HasTerms, LearnsIdentity, MouthGenerator
from realtime_dub.paths import Use, WholeFile, is_missing, refuse_clashes
from realtime_dub.pipeline.contracts import ContactSheet
from realtime_dub.pipeline.credentials import Credentials
from realtime_dub.pipeline.statistics import Recorder, Report
from realtime_dub.publishers.base import Publisher
from realtime_dub.publishers.registry import file_of
from realtime_dub.sources.registry import kind_of
from realtime_dub.terminal import console
from realtime_dub.trust import consent
from realtime_dub.voice.registry import said_by


class Reports:
    """The statistics file and the contact sheet, where they were asked for. Made before anything else is opened."""

    def __init__(self, config: LiveConfig | FileConfig, voice: str) -> None:
        """``voice``: whose it is, as credentials say it. Raises ConfigError where a file would be written over
        another or cannot be signed as asked for, MediaError where one cannot be written.
        """
        refuse_clashes(_written(config), _read(config))
        source = Path(config.input) if isinstance(config, FileConfig) and not is_missing(config.input) else None
        self.credentials = Credentials(config.signing, voice, source, {"badge": config.badge})
        self.sheet = _sheet(config.contact_sheet)
        self._stats = WholeFile(config.stats_json) if config.stats_json is not None else None

    def finish(self, recorder: Recorder) -> Report:
        """The report, after the files were written, each on its own; one that cannot be written is in its ``lost``."""
        report = recorder.report()
        writing: list[Callable[[], object]] = []
        if (stats := self._stats) is not None:
            writing.append(lambda: stats.write(f"{report.to_json()}\n".encode(errors="backslashreplace")))
        if self.sheet is not None:
            sheet = self.sheet
            writing.append(lambda: sheet.write(lambda data: self.credentials.sealed(data, self.failing(recorder))))
        for write in writing:
            try:
                write()
            except MediaError as error:
                recorder.lost(str(error))
        return recorder.report()

    def failing(self, recorder: Recorder) -> Callable[[str], object]:
        """Who is told that a file has no credentials: it is lost where somebody asked for a signature of their own."""
        return recorder.lost if self.credentials.chosen else recorder.note

    def sign(self, publishers: Iterable[Publisher], recorder: Recorder) -> None:
        """The films of a run that is over, which may take a while."""
        self.credentials.sign(publishers, self.failing(recorder))


def announce(generator: MouthGenerator, quiet: bool) -> None:
    """Say on standard error what comes with terms of its own."""
    if not quiet and isinstance(generator, HasTerms) and generator.terms:
        told = one_line(f"{generator.bundle}: {generator.terms}")
        console(stderr=True).print(told, markup=False, highlight=False, soft_wrap=True)


def announce_consent(config: LiveConfig | FileConfig, generator: MouthGenerator) -> None:
    """Say on standard error where nobody's consent is recorded in the bank or the avatar that is used."""
    if (told := _without_consent(config, generator)) is not None and not config.quiet:
        console(stderr=True).print(one_line(told), markup=False, highlight=False, soft_wrap=True)


def _without_consent(config: LiveConfig | FileConfig, generator: MouthGenerator) -> str | None:
    shown = config.webcam if isinstance(config, LiveConfig) else config.input
    if kind_of(shown) == "avatar":
        return consent.warning(shown, *consent.of_folder(Path(shown)))
    if config.identity is None or not isinstance(generator, LearnsIdentity):
        return None
    known = generator.identity
    if not isinstance(known, consent.CarriesConsent):
        return None
    return consent.warning(str(config.identity), known.consent, known.subject)


def _sheet(path: Path | None) -> ContactSheet | None:
    if path is None:
        return None
    from realtime_dub import contact_sheet

    return contact_sheet.ContactSheet(path)


def _read(config: LiveConfig | FileConfig) -> Iterator[Use]:
    yield Use(config.webcam, "--webcam") if isinstance(config, LiveConfig) else Use(config.input, "INPUT")
    script = config.mic.removeprefix("script:")
    yield Use(config.mic if script == config.mic else said_by(script)[1], "--mic")
    if isinstance(config, LiveConfig) and config.script not in (None, "-"):
        yield Use(config.script or "", "--script")
    if isinstance(config, FileConfig) and config.speaker is not None:
        yield Use(config.speaker, "--speaker")
    if isinstance(config, LiveConfig) and config.own_mic is not None:
        yield Use(config.own_mic, "--own-mic")
    if config.backdrop is not None:
        yield Use(config.backdrop, "--backdrop")
    keys = ((config.sign_cert, "--sign-cert"), (config.sign_key, "--sign-key"))
    own = ((config.identity, "--identity"), (config.bundle, "--bundle"), (config.enhancer, "--enhancer"))
    for path, option in (*own, *keys):
        if path is not None:
            yield Use(path, option)
    for spec in config.to if isinstance(config, LiveConfig) else ():
        for name, value in parse_qsl(spec.partition("?")[2] if "://" in spec else ""):  # a certificate and its key
            yield Use(value, f"{name} of --to")


def _written(config: LiveConfig | FileConfig) -> Iterator[Use]:
    if isinstance(config, LiveConfig):
        files = (file_of(spec) for spec in config.to)
        yield from (Use(path, "--to") for path in files if path is not None)
    else:
        yield Use(config.output, "-o")
        shown = (
            (config.save_landmarks, "--save-landmarks"),
            (config.preview, "--preview"),
            (config.openness, "--openness"),
        )
        yield from (Use(path, option) for path, option in shown if path is not None)
    for path, option in ((config.stats_json, "--stats-json"), (config.contact_sheet, "--contact-sheet")):
        if path is not None:
            yield Use(path, option)
