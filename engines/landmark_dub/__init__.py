"""landmark-dub: mouth landmarks from cepstra and the face's other landmarks (unsupervised generative video dubbing)."""
