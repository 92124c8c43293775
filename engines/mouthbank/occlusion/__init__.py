"""Learns where something stands before the face: a small net, trained on faces with occluders that are drawn here."""
