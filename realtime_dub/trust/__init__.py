"""What says of a film that it was dubbed."""
