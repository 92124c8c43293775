"""Which sound is spoken when: the classes, aligners and synthesisers, the speech net, and its batches and loss."""
