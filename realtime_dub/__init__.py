"""Live dubbing: a camera and a voice in, the person's own mouth speaking that voice out, picture and sound together."""

import os

# ONNX Runtime calls its vendor and numbers the machine in the user's home as soon as it is imported, and asks for this
# then and not later. Everything here that imports it has imported this package first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
