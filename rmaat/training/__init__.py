"""Training: settings, batches, the loop, checkpoints that a run continues from exactly, evaluation."""
