"""One person's face, painted from a drawing of its landmarks: how the network is made (see README.md)."""
