"""What can be imported: one line for each engine. A value takes a file or folder and the bundle's folder to write."""

from __future__ import annotations

IMPORTERS = {
    "gfpgan": "engines.gfpgan.importing:import_weights",
    "hifigan": "engines.vocoder.importing:import_weights",
    "hpm": "engines.hpm.importing:import_weights",
    "landmark-dub": "engines.landmark_dub.importing:import_weights",
    "lipgan": "engines.lipgan.keras_import:import_weights",
    "wav2lip": "engines.wav2lip.importing:import_weights",
}
