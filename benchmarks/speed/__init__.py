"""One thing done by us and by others, side by side in one run."""
