"""Trained runs compared: arms of seeds, intervals over seeds and examples, verdicts in words and rows."""
