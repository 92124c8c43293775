"""Decoders of visitors' tracks, in processes of their own: what is sent to them, what they do, who has them."""
