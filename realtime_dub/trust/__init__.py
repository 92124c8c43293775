"""What a file says of itself, so that nobody takes a dub for a recording: said, signed, and read again."""
