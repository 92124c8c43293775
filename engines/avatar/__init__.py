"""One person's avatar: how its networks are made of a recording (see README.md)."""
