"""Understudy re-shoots film: the same shot with another character in the actor's place."""

import lazy_loader

__version__ = "0.1.0"
# The names stand in __init__.pyi, for people, type checkers and this call; each is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
