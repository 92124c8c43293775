"""own-texture: a small recurrent net from cepstra to the lips, after Synthesizing Obama (see README.md)."""
