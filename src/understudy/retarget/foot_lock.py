"""How firmly feet are kept on the ground, in words."""

from typing import Literal

__all__ = ["FootLock"]

FootLock = Literal["auto", "always", "never", "ground"]
