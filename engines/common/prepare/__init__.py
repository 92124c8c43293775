"""``prepare-dataset``: from folders of talking videos to tracks that a net can be trained on."""
