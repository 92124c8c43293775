"""How long a test waits for what has to come: a guard against waiting for ever, no measure of speed.

When all is well nobody waits so long, however busy the machine is. What has to be quick is a benchmark's.
"""

PATIENCE_S = 60.0  # below pytest's own limit: a test says itself what did not come
PATIENCE_MS = round(PATIENCE_S * 1000)
