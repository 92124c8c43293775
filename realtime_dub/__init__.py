"""Live dubbing: a camera and a voice in, the person's own mouth speaking that voice out, picture and sound together."""

__version__ = "0.1.0"
