"""Mouth generators: one folder per system (model card, network, training, bundle). Never imported by realtime_dub."""
