"""One number per function, defined as the field defines it."""
