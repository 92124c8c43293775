"""Checks a bill of materials against the schema of CycloneDX, with what requirements/release.lock has."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text(encoding="utf-8"))
if fault is not None:
    sys.exit(f"{sys.argv[1]}: {fault}")
print(f"{sys.argv[1]}: a bill of materials, CycloneDX 1.6")
