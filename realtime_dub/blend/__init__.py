"""Blending: masks, colour match, warps and the pyramid composite."""
