"""Clips of scene models measured: background, camera, subject."""
