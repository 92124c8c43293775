"""Audio to head motion: how an avatar's head moves and how its eyes blink, learnt of one person's recording."""
