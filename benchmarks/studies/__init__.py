"""Studies: what a law is worth, what a task asks for, what a model learns."""
