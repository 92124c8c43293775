"""What the engines share: data sets, losses, the training loop, metrics."""
