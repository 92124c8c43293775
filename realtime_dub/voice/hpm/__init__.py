"""Speech for a silent face: phonemes and what is seen to a mel spectrogram, and that to sound."""
