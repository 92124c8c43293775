"""HPMDubbing: a script, the lips and the face of a silent video, and a speaker, to the mel spectrogram of speech."""
