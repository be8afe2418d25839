"""Training: loss, optimizer, state, step, checkpoints and the loop."""
