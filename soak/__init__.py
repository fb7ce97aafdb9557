"""A long run with everything that goes wrong at once: ``python -m soak``."""
