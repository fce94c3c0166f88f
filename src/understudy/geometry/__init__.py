"""Pure functions on NumPy arrays: no files, no config. Leading axes are batch axes."""
