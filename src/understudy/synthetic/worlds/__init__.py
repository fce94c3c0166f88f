"""Endless small scenes with and without a subject, for training the video models that film in a set."""
