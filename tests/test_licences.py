"""Whose work is in the program: every licence is known, and what asks for more than a name is named in the docs."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import pytest

from realtime_dub import cli
from realtime_dub.trust import licences, native, sbom

pytestmark = pytest.mark.computes

PAGE = (Path(__file__).parent.parent / "docs" / "licences.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def everything() -> list[licences.Component]:
    return licences.everything()


@pytest.fixture
def base(everything: list[licences.Component]) -> list[licences.Component]:
    return [each for each in everything if licences.BASE in each.extras]


def unnamed(components: list[licences.Component], page: str) -> list[str]:
    """What asks for something and has no row in the page's tables that names it and that licence."""
    rows = [line for line in page.splitlines() if line.startswith("|")]
    missing = []
    for name, terms in licences.to_mind(components).items():
        mine = "\n".join(row for row in rows if f"| {name} |" in row)
        for term in terms:
            library, _, licence = term.rpartition(": ")
            if licence not in mine or library not in mine:
                missing.append(f"{name}: {term}")
    return missing


def test_what_the_base_install_asks_for_is_named_in_the_docs(base: list[licences.Component]) -> None:
    assert unnamed(base, PAGE) == []


def test_no_licence_of_the_base_install_is_unknown_or_non_commercial(base: list[licences.Component]) -> None:
    terms = {term for each in base for term in each.terms}
    assert [term for term in terms if {native.UNKNOWN, "non-commercial"} & set(licences.asks(term))] == []


def test_the_page_names_nothing_that_is_gone(base: list[licences.Component]) -> None:
    named = set(re.findall(r"^\| ([\w-]+) \|.*GPL", PAGE, re.MULTILINE))
    assert named <= {each.name for each in base}


def installed(folder: Path, name: str, *lines: str, files: str = "") -> None:
    """A distribution as pip leaves it."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines, ""]))
    (info / "RECORD").write_text(files)


def test_a_new_dependency_that_asks_for_something_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(
        tmp_path, "program", "Provides-Extra: more", "Requires-Dist: mild>=1", "Requires-Dist: strict; extra == 'more'"
    )
    classifier = "Classifier: License :: OSI Approved :: GNU General Public License v2 (GPLv2)"
    installed(tmp_path, "mild", "License-Expression: MIT", "Requires-Dist: hidden", "Requires-Dist: absent")
    installed(tmp_path, "hidden", classifier, files="hidden.libs/libx265-0123abcd.so.216,,\nhidden/a.py,,\n")
    installed(tmp_path, "strict", "License: CC BY-NC 4.0, for research only")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {each.name: each for each in licences.libraries("program")}
    assert {name: each.extras for name, each in found.items()} == {"mild": ("",), "hidden": ("",), "strict": ("more",)}
    assert licences.to_mind(found.values()) == {
        "hidden": ["GPL-2.0-only", "x265: GPL-2.0-or-later"],
        "strict": ["CC BY-NC 4.0, for research only"],
    }
    page = "| hidden | GPL-2.0-only | why |"
    assert unnamed([found["hidden"]], page) == ["hidden: x265: GPL-2.0-or-later"]


def test_metadata_without_a_licence_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "silent", "Summary: nothing more")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert licences.asks(licences.licence_in(metadata.distribution("silent"))) == [native.UNKNOWN]


@pytest.mark.parametrize(
    ("path", "name", "licence"),
    [
        ("av.libs/libx264-d6533a8d.so.165", "x264", "GPL-2.0-or-later"),
        ("scipy.libs/libgfortran-040039e1-0352e75f.so.5.0.0", "gfortran", native.GCC),
        ("av/.dylibs/libswscale.9.5.102.dylib", "swscale", "LGPL-2.1-or-later"),
        ("numpy.libs/libopenblas64_p-r0-0cf96a72.3.23.dev.so", "openblas64_p-r0", "BSD-3-Clause"),
        ("x.libs/libnobody-12345678.so.1", "nobody", native.UNKNOWN),
    ],
)
def test_libraries_in_wheels_are_known_by_their_files(path: str, name: str, licence: str) -> None:
    assert native.carried([path, "av/core.so"]) == {name: licence}


def test_every_bundle_says_whose_it_is(everything: list[licences.Component]) -> None:
    made = [each for each in everything if each.kind == "weights"]
    data = {each.name: each for each in everything if each.kind == "data"}
    assert len(made) > 12
    assert all(each.licence for each in made)
    assert {name for each in made for name in each.data} == set(data)
    assert all(each.licence and each.notice for each in data.values())
    assert not [each.name for each in (*made, *data.values()) if licences.asks(each.licence)]


def test_the_bill_of_materials_has_every_component_once(everything: list[licences.Component]) -> None:
    bill = sbom.bill(everything)
    json.loads(json.dumps(bill))
    refs = [each["bom-ref"] for each in bill["components"]]
    inner = [each["bom-ref"] for outer in bill["components"] for each in outer.get("components", ())]
    assert len(refs + inner) == len(set(refs + inner))
    assert {each["name"] for each in bill["components"]} == {each.name for each in everything}
    assert bill["dependencies"][0]["dependsOn"] == sorted(refs)
    av = next(each for each in bill["components"] if each["name"] == "av")
    assert av["purl"] == f"pkg:pypi/av@{metadata.version('av')}"
    assert {"expression": "GPL-2.0-or-later"} in [each["licenses"][0] for each in av["components"]]


def test_the_command_prints_for_programs_and_for_people(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    everything: list[licences.Component],
) -> None:
    monkeypatch.setattr(licences, "everything", lambda: everything)
    assert cli.run(["licences", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert "copyleft" in next(each for each in listed if each["name"] == "pyvirtualcam")["asks"]
    assert cli.run(["licences", str(licences.root() / "engines" / "speaker" / "bundle")]) == 0
    assert "CC BY 4.0" in capsys.readouterr().out
    assert cli.run(["licences", "--sbom", str(tmp_path / "sbom.json")]) == 0
    assert json.loads((tmp_path / "sbom.json").read_text())["bomFormat"] == "CycloneDX"
    assert cli.run(["licences", str(tmp_path)]) == 2
    assert cli.run(["licences", "--sbom", str(tmp_path / "nowhere" / "sbom.json")]) == 2
