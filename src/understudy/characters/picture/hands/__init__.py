"""Hands with fingers, where the joints of a hand are seen in a figure's picture."""
