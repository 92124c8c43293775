"""Wav2Lip: weights that people already have, checked and made into a bundle. Nothing of it comes with the program."""
