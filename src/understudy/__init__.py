"""Understudy re-shoots film: the same shot with another character in the actor's place."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.studio.recast import Film, recast

__version__ = "0.1.0"
__all__ = ["Film", "recast"]


def __getattr__(name: str) -> Any:
    """Load the main job when it is first asked for: importing the package stays light."""
    if name in __all__:
        from understudy.studio import recast as module

        return getattr(module, name)
    raise AttributeError(f"module 'understudy' has no attribute {name!r}")
