"""Mouths: the contract of a generator, the registry of engines, and a room for each family of them."""
