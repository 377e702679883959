"""The paper's table as we hold it, and how ours is set beside it."""
