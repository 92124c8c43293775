"""The files of a run: none is written over another, and what is written at its end is looked at before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl

from realtime_dub.config import FileConfig, LiveConfig
from realtime_dub.errors import MediaError
from realtime_dub.paths import Use, WholeFile, refuse_clashes
from realtime_dub.pipeline.assembly import ContactSheet, make_sheet, part
from realtime_dub.pipeline.statistics import Recorder, Report


class Reports:
    """The statistics file and the contact sheet, where they were asked for. Made before anything else is opened."""

    def __init__(self, config: LiveConfig | FileConfig) -> None:
        """Raises ConfigError where a file would be written over another, MediaError where one cannot be written."""
        refuse_clashes(_written(config), _read(config))
        self.sheet: ContactSheet | None = make_sheet(config)
        self._stats = WholeFile(config.stats_json) if config.stats_json is not None else None

    def finish(self, recorder: Recorder) -> Report:
        """The report, after the files were written, each on its own; one that cannot be written is in its ``lost``."""
        report = recorder.report()
        writing: list[Callable[[], object]] = []
        if (stats := self._stats) is not None:
            writing.append(lambda: stats.write(f"{report.to_json()}\n".encode(errors="backslashreplace")))
        if self.sheet is not None:
            writing.append(self.sheet.write)
        for write in writing:
            try:
                write()
            except MediaError as error:
                recorder.lost(str(error))
        return recorder.report()


def _read(config: LiveConfig | FileConfig) -> Iterator[Use]:
    yield Use(config.webcam, "--webcam") if isinstance(config, LiveConfig) else Use(config.input, "INPUT")
    yield Use(config.mic, "--mic")
    for path, option in ((config.identity, "--identity"), (config.bundle, "--bundle")):
        if path is not None:
            yield Use(path, option)
    for spec in config.to if isinstance(config, LiveConfig) else ():
        for name, value in parse_qsl(spec.partition("?")[2] if "://" in spec else ""):  # a certificate and its key
            yield Use(value, f"{name} of --to")


def _written(config: LiveConfig | FileConfig) -> Iterator[Use]:
    if isinstance(config, LiveConfig):
        files = (part("file of an output")(spec) for spec in config.to)
        yield from (Use(path, "--to") for path in files if path is not None)
    else:
        yield Use(config.output, "-o")
    for path, option in ((config.stats_json, "--stats-json"), (config.contact_sheet, "--contact-sheet")):
        if path is not None:
            yield Use(path, option)
