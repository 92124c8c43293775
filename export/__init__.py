"""``export-engine``: networks made ready for what runs them, and how far they then agree with what was trained."""
