"""The training loop, optimizers, homeostasis, checkpoints."""
