"""Noise and sampling as functions: schedules, samplers and guidance. No networks, no files."""
