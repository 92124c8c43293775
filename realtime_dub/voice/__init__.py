"""Voices that are made here: of what is seen, of a script."""
