"""Who speaks: a mel spectrogram to a vector that is alike for one person, whatever is said."""
