"""HiFi-GAN: a mel spectrogram to sound."""
