"""One browser over WebRTC: its frames and audio on their way in, the output on its way out."""
