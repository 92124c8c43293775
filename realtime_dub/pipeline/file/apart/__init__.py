"""A film is decoded and tracked in a process of its own: the pictures' places, what it does, who has it."""
