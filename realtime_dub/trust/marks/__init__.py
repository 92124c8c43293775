"""Marks that nobody sees or hears, in what was dubbed, and what finds them.

Each is a sum of waves whose directions of rotation (phases) a key chooses, so what finds them needs neither the
original nor the place, and how often it errs can be computed for any content (:mod:`realtime_dub.trust.marks.odds`).
"""
