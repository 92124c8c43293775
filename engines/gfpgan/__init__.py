"""GFPGAN's network, for people who own its weights (see README.md)."""
