"""What the README's and docs/performance.md's figures come from: ``python -m bench``."""
