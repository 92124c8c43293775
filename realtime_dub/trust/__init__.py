"""Trust: what was dubbed says so, signed; people are told and asked; whose work is in it is named."""
