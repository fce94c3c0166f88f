"""Understudy re-shoots film: the same shot with another character in the actor's place."""

__version__ = "0.1.0"
