"""The renderers, one module each."""
