"""Wan 2.1 with the same conditions: model, training, sampling."""
