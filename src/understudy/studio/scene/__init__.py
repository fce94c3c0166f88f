"""Filming in a given set: shoot, train, render data sets."""
