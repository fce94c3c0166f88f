"""Many small least-squares problems at once, each with a damping of its own: cameras against known points, say."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.solvers.losses import Loss

__all__ = ["minimise_each", "summed_products"]

Values = tuple[Float[np.ndarray, "problem ..."], ...]
"""The unknowns of all problems."""

_DAMPING, _EASED, _RAISED = 1e-3, 0.2, 10.0
"""Marquardt's rule, at first and after steps that lowered a problem's cost and that did not."""
_FLOOR = 1e-9
"""Of the diagonal, as a share of its largest entry: what nothing is known of stays."""
_TOLERANCE = 1e-6
"""A problem whose cost falls by less than this share of it is solved."""


def minimise_each(
    values: Values,
    group: Int[np.ndarray, " residual"],
    residuals: Callable[[Values], Float[np.ndarray, "residual part"]],
    derivatives: Callable[[Values], Float[np.ndarray, "residual part size"]],
    moved: Callable[[Values, Float[np.ndarray, "problem size"]], Values],
    loss: Loss,
    max_steps: int,
) -> Values:
    """Levenberg–Marquardt (Marquardt 1963) on every problem by itself, all in one batch.

    Args:
        group: to which problem each residual belongs.
        derivatives: of each residual by its own problem's unknowns.
        moved: the unknowns after a step.
    """
    count = len(values[0])
    damping = np.full(count, _DAMPING)
    r = residuals(values)
    cost = np.bincount(group, loss.weighed((r**2).sum(1))[0], count)
    for _ in range(max_steps):
        root = np.sqrt(loss.weighed((r**2).sum(1))[1])
        H, g = summed_products(derivatives(values) * root[:, None, None], r * root[:, None], group, count)
        diagonal = np.einsum("cii->ci", H)
        H = H + np.eye(H.shape[1]) * _raised(diagonal, damping)[:, None]
        candidate = moved(values, -np.linalg.solve(H, g[..., None])[..., 0])
        candidate_r = residuals(candidate)
        candidate_cost = np.bincount(group, loss.weighed((candidate_r**2).sum(1))[0], count)
        better = candidate_cost < cost
        values = tuple(_chosen(better, new, old) for new, old in zip(candidate, values, strict=True))
        r = np.where(better[group, None], candidate_r, r)
        settled = ~better | (cost - candidate_cost < _TOLERANCE * cost)
        damping = np.where(better, damping * _EASED, damping * _RAISED)
        cost = np.where(better, candidate_cost, cost)
        if settled.all():
            break
    return values


def _raised(
    diagonal: Float[np.ndarray, "problem size"], damping: Float[np.ndarray, " problem"]
) -> Float[np.ndarray, "problem size"]:
    return diagonal * damping[:, None] + _FLOOR * (1.0 + diagonal.max(1, keepdims=True))


def _chosen(
    better: Bool[np.ndarray, " problem"], new: Float[np.ndarray, "problem ..."], old: Float[np.ndarray, "problem ..."]
) -> Float[np.ndarray, "problem ..."]:
    return np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def summed_products(
    J: Float[np.ndarray, "residual part size"],
    r: Float[np.ndarray, "residual part"],
    group: Int[np.ndarray, " residual"],
    groups: int,
) -> tuple[Float[np.ndarray, "group size size"], Float[np.ndarray, "group size"]]:
    """JᵀJ and Jᵀr summed over each group of residuals."""
    size, parts = J.shape[2], range(J.shape[1])
    H, g = np.empty((groups, size, size)), np.empty((groups, size))
    for i in range(size):
        g[:, i] = np.bincount(group, sum(J[:, k, i] * r[:, k] for k in parts), groups)
        for j in range(i, size):
            product = sum(J[:, k, i] * J[:, k, j] for k in parts)
            H[:, i, j] = H[:, j, i] = np.bincount(group, product, groups)
    return H, g
