"""What users set for every verb that makes clips: seeds and devices, checked."""

from understudy.runtime.errors import InputError

__all__ = ["LAST_SEED", "check_seed", "device_named"]

LAST_SEED = 2**31 - 1
"""From a seed, others of up to 64 bits are computed."""


def check_seed(seed: int) -> None:
    """Raise InputError unless a seed is in 0 … LAST_SEED."""
    if not 0 <= seed <= LAST_SEED:
        raise InputError(f"--seed is {seed}; give a whole number from 0 to {LAST_SEED}")


def device_named(name: str | None) -> str:
    """The device of that name; None: a GPU where there is one.

    Raises:
        InputError: it is neither cpu nor a GPU that is here.
    """
    import torch  # Takes seconds and memory: seeds are checked before.

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name is None:
        return "cuda" if gpus else "cpu"
    known = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{number}" for number in range(gpus))]
    if name not in known:
        raise InputError(f"--device is {name!r}; on this machine there is {', '.join(known)}")
    return name
