"""Least-squares problems whose unknowns have names."""
