"""``--to webrtc`` and ``--to whip://``: outputs of a local run, made of the studio's parts."""
