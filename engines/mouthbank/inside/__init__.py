"""Stage ``inside``: teeth and tongue between lips that nobody has seen so far apart."""
