"""What runs networks: one file per backend, and the table in ``inference/session.py``."""
