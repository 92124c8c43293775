"""mouthbank: the motion net that drives the person's own mouth."""
