"""Checks that every noun makes when it is built, and every set of options."""

import numpy as np

from understudy.runtime.errors import InputError, quoted

__all__ = ["check_finite", "check_option", "check_options", "check_rigid", "check_shape"]


MAX_DRIFT = 1e-4
"""By how much R Rᵀ may differ from the identity: matrices of files with seven digits are off by less."""


def check_shape(name: str, array: np.ndarray, *expected: int | None) -> None:
    """Raise ValueError unless `array` has the expected shape; None matches any length."""
    if len(array.shape) != len(expected) or any(
        want is not None and got != want for got, want in zip(array.shape, expected, strict=True)
    ):
        wanted = " × ".join("any" if size is None else str(size) for size in expected)
        raise ValueError(f"{name} has shape {array.shape}; expected {wanted}")


def check_option(name: str, value: int | float, minimum: int | float, maximum: int | float) -> None:
    """Raise InputError unless an option's number lies in a range; `name` is that of its field.

    Every number that a user gives has an upper bound: sizes and counts are computed from it.
    """
    if not minimum <= value <= maximum:
        raise InputError(f"--{name.replace('_', '-')} is {quoted(value)[1:-1]}; give {minimum} to {maximum}")


def check_options(options: object, **ranges: tuple[int | float, int | float]) -> None:
    """Raise InputError unless every number of a set of options that is given lies in its range, by its field's name."""
    for name, (minimum, maximum) in ranges.items():
        if (value := getattr(options, name)) is not None:
            check_option(name, value, minimum, maximum)


def check_finite(name: str, array: np.ndarray) -> None:
    """Raise ValueError if `array` holds a NaN or an infinity."""
    if not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise ValueError(f"{name} holds {bad} values that are not finite")


def check_rigid(name: str, T_a_b: np.ndarray) -> None:
    """Raise ValueError unless every 4 × 4 matrix is a rotation and a translation."""
    check_shape(name, T_a_b, *([None] * (T_a_b.ndim - 2)), 4, 4)
    check_finite(name, T_a_b)
    R = T_a_b[..., :3, :3]
    drift = np.abs(R @ np.swapaxes(R, -1, -2) - np.eye(3)).max(initial=0.0)
    if drift > MAX_DRIFT or (np.linalg.det(R) < 0).any():
        raise ValueError(f"{name} is not rigid: its rotations are off by {drift:.2g} or mirrored")
