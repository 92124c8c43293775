"""Audio to expression: an avatar's lower face from what is heard of a voice, learnt of many people, then of one."""
