"""Trust: what was dubbed says so, people are told and asked, and whose work is in it is named."""
