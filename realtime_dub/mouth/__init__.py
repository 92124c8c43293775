"""Mouths: the bundle reader, inference backends, the generator contract and the generators that run live."""
