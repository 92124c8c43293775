"""Faces: landmark tracking, canonical alignment, pose, smoothing."""
