"""Levenberg–Marquardt over all frames together.

Frames couple with their two neighbours only, so the normal matrix is a band; what all frames share (shape, camera
scale, ground) is taken out by its Schur complement. Cost and memory are linear in the number of frames.
Source: Triggs et al. 1999, Bundle adjustment, a modern synthesis, sections 4 and 6.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import LinAlgError
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf

from understudy.decompose.body.pose_state import FREEDOMS, BodyPoints
from understudy.decompose.body.terms import Linearised, Rows, State, Stencil, linearise, robust

__all__ = ["NormalEquations", "Objective", "minimise", "normal_equations", "solve_step"]

REACH = 2
"""With how many following frames a frame couples: accelerations join three."""


@dataclass(frozen=True)
class Objective:
    """What is minimised: terms of single frames, terms between frames, and priors on what is shared."""

    rows: Callable[[State, Linearised], Sequence[Rows]]
    stencils: Sequence[Stencil]
    shared: Callable[[State], tuple[np.ndarray, np.ndarray]]
    free: Bool[np.ndarray, " shared"]
    """Which shared unknowns may change."""


@dataclass(frozen=True)
class NormalEquations:
    """The quadratic model of the cost about a state."""

    cost: float
    H: Float[np.ndarray, "reach time freedom freedom"]
    """H[k, t] couples frame t + k (rows) with frame t (columns)."""
    H_shared: Float[np.ndarray, "time freedom shared"]
    H_corner: Float[np.ndarray, "shared shared"]
    gradient: Float[np.ndarray, "time freedom"]
    gradient_shared: Float[np.ndarray, " shared"]


def normal_equations(objective: Objective, points: BodyPoints, state: State) -> NormalEquations:
    """Sum up all terms at a state."""
    lin = linearise(points, state)
    time, shared = len(state.pose), lin.shared
    H = np.zeros((REACH + 1, time, FREEDOMS, FREEDOMS))
    H_shared = np.zeros((time, FREEDOMS, shared))
    gradient = np.zeros((time, FREEDOMS))
    residual, J = objective.shared(state)
    cost = float(residual @ residual)
    H_corner, gradient_shared = J.T @ J, J.T @ residual
    for rows in objective.rows(state, lin):
        squared, weight = robust((rows.residual**2).sum(-1), rows.kernel, rows.kernel_scale)
        cost += float((rows.weight * squared).sum())
        root = np.sqrt(rows.weight * weight)[..., None]
        used = np.flatnonzero(root.any(axis=(0, 2)))
        if not len(used):
            continue
        r = (rows.residual * root)[:, used].reshape(time, -1)
        D = (rows.d_pose[:, used] * root[:, used, :, None]).reshape(time, r.shape[1], -1)
        Dt = np.swapaxes(D, 1, 2)
        H[0, :, rows.freedoms, rows.freedoms] += Dt @ D
        gradient[:, rows.freedoms] += (Dt @ r[..., None])[..., 0]
        if rows.d_shared is not None:
            S = (rows.d_shared[:, used] * root[:, used, :, None]).reshape(time, -1, shared)
            H_shared[:, rows.freedoms] += Dt @ S
            flat = S.reshape(-1, shared)
            H_corner += flat.T @ flat
            gradient_shared += flat.T @ r.ravel()
    for stencil in objective.stencils:
        cost += _add_stencil(stencil, lin, H, H_shared, H_corner, gradient, gradient_shared)
    return NormalEquations(cost, H, H_shared, H_corner, gradient, gradient_shared)


def _add_stencil(
    stencil: Stencil,
    lin: Linearised,
    H: np.ndarray,
    H_shared: np.ndarray,
    H_corner: np.ndarray,
    gradient: np.ndarray,
    gradient_shared: np.ndarray,
) -> float:
    """Add a term between neighbouring frames; returns its cost."""
    factors = stencil.factors
    order = len(factors)
    time = len(lin.placed.points_m)
    windows = time - order + 1
    if windows < 1:
        return 0.0
    components = lin.d_shape.shape[-1]
    points, d_shape = (values[:, stencil.points] for values in (lin.placed.points_m, lin.d_shape))
    D = lin.d_pose[:, stencil.points].reshape(time, -1, FREEDOMS)
    Dt = np.swapaxes(D, 1, 2)
    ahead = [slice(k, k + windows) for k in range(order)]
    r = sum(f * points[at] for f, at in zip(factors, ahead, strict=True)) * stencil.scale[:, None]
    squared, weight = robust((r**2).sum(-1), stencil.kernel, stencil.kernel_scale)
    weight = np.repeat(stencil.weight * weight * stencil.scale**2, 3, axis=1)
    S = sum(f * d_shape[at] for f, at in zip(factors, ahead, strict=True)).reshape(windows, -1, components)
    # The pull on each frame's points, and how the shape changes it: summed over the windows that hold the frame.
    pull, shape_pull = np.zeros(D.shape[:2]), np.zeros((*D.shape[:2], components))
    r = (r / stencil.scale[:, None]).reshape(windows, -1) * weight
    WS = S * weight[..., None]
    for factor, at in zip(factors, ahead, strict=True):
        pull[at] += factor * r
        shape_pull[at] += factor * WS
    gradient += (Dt @ pull[..., None])[..., 0]
    H_shared[..., :components] += Dt @ shape_pull
    flat = S.reshape(-1, components)
    H_corner[:components, :components] += flat.T @ WS.reshape(-1, components)
    gradient_shared[:components] += flat.T @ r.ravel()
    for gap in range(order):
        together = np.zeros((time - gap, D.shape[1]))
        for first in range(order - gap):
            together[first : first + windows] += factors[first] * factors[first + gap] * weight
        H[gap, : time - gap] += Dt[gap:] @ (D[: time - gap] * together[..., None])
    return float((stencil.weight * squared).sum())


def solve_step(
    equations: NormalEquations, free: Bool[np.ndarray, " shared"], damping: float
) -> tuple[Float[np.ndarray, "time freedom"], Float[np.ndarray, " shared"]]:
    """The step that minimises the quadratic model, with `damping` times its diagonal added.

    Two frames make one block, so that the matrix is block-tridiagonal; its Cholesky factor is found block by block.
    Raises LinAlgError where the damped matrix is not positive definite.
    """
    diagonal, below = _blocks(equations.H, damping)
    time = len(equations.gradient)
    size = REACH * FREEDOMS
    known = np.zeros((len(diagonal) * REACH, FREEDOMS, 1 + int(free.sum())))
    known[:time, :, 0] = -equations.gradient
    known[:time, :, 1:] = equations.H_shared[..., free]
    known = known.reshape(len(diagonal), size, -1)
    factors, sides = [], []
    for k in range(len(diagonal)):
        block = diagonal[k]
        if k:
            side = dtrsm(1.0, factors[-1], below[k - 1], side=1, lower=1, trans_a=1)
            sides.append(side)
            block = block - side @ side.T
            known[k] -= side @ known[k - 1]
        factor, failed = dpotrf(block, lower=1)
        if failed:
            raise LinAlgError("the damped normal matrix is not positive definite")
        factors.append(factor)
        known[k] = dtrsm(1.0, factor, known[k], lower=1)
    flat = known.reshape(-1, known.shape[-1])
    shared = np.zeros(len(free))
    if free.any():
        corner = equations.H_corner[np.ix_(free, free)]
        corner = corner + np.diag(damping * np.diag(corner) + 1e-6) - flat[:, 1:].T @ flat[:, 1:]
        shared[free] = np.linalg.solve(corner, -equations.gradient_shared[free] - flat[:, 1:].T @ flat[:, 0])
    step = (flat[:, 0] - flat[:, 1:] @ shared[free]).reshape(len(diagonal), size)
    for k in reversed(range(len(diagonal))):
        if k + 1 < len(diagonal):
            step[k] -= sides[k].T @ step[k + 1]
        step[k] = dtrsm(1.0, factors[k], step[k][:, None], lower=1, trans_a=1)[:, 0]
    return step.reshape(-1, FREEDOMS)[:time], shared


def _blocks(
    H: Float[np.ndarray, "reach time freedom freedom"], damping: float
) -> tuple[Float[np.ndarray, "block size size"], Float[np.ndarray, "block size size"]]:
    """The damped matrix as diagonal blocks of two frames each and the blocks below them."""
    time = H.shape[1]
    count = (time + 1) // 2
    even, odd = slice(0, None, 2), slice(1, None, 2)
    first, second = slice(0, FREEDOMS), slice(FREEDOMS, 2 * FREEDOMS)
    diagonal = np.zeros((count, 2 * FREEDOMS, 2 * FREEDOMS))
    diagonal[:, first, first] = H[0, even]
    diagonal[: time // 2, second, second] = H[0, odd]
    diagonal[:, second, first] = H[1, even]
    diagonal[:, first, second] = np.swapaxes(H[1, even], 1, 2)
    below = np.zeros((count, 2 * FREEDOMS, 2 * FREEDOMS))
    below[:, first, first] = H[2, even]
    below[: time // 2, second, second] = H[2, odd]
    below[: time // 2, first, second] = H[1, odd]
    entries = np.einsum("kii->ki", diagonal)
    entries += damping * entries + 1e-6
    return diagonal, below


def minimise(
    objective: Objective, points: BodyPoints, state: State, iterations: int, tolerance: float = 1e-3
) -> tuple[State, float]:
    """Steps downhill until the cost falls by less than `tolerance` of itself; the state and its cost."""
    equations = normal_equations(objective, points, state)
    damping = 1e-3
    for _ in range(iterations):
        try:
            step, shared = solve_step(equations, objective.free, damping)
        except LinAlgError:
            damping *= 10.0
            continue
        # Beyond half a radian the linear model of a turn says little.
        step[:, 3:] = np.clip(step[:, 3:], -0.5, 0.5)
        candidate = state.moved(step, shared)
        trial = normal_equations(objective, points, candidate)
        if trial.cost < equations.cost:
            gain = 1.0 - trial.cost / equations.cost
            state, equations, damping = candidate, trial, max(damping / 5.0, 1e-7)
            if gain < tolerance:
                break
        else:
            damping *= 10.0
    return state, equations.cost
