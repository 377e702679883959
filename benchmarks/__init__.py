"""Side-by-side measurements; `rmaat bench` runs them from a checkout."""
