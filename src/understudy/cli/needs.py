"""What some verbs need beyond the base install."""

from importlib.util import find_spec

from understudy.core.errors import BackendUnavailable

__all__ = ["needs_torch"]


def needs_torch() -> None:
    """Raise BackendUnavailable, saying what to install, where PyTorch is absent."""
    if find_spec("torch") is None or find_spec("accelerate") is None:
        raise BackendUnavailable("this verb needs PyTorch: pip install 'understudy[scene]'")
