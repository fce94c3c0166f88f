"""Levenberg–Marquardt over all frames together.

Frames couple with their two neighbours only, so the normal matrix is a band; what all frames share (shape, camera
scale, ground) is taken out by its Schur complement. Cost and memory are linear in the number of frames.
Source: Triggs et al. 1999, Bundle adjustment, a modern synthesis, sections 4 and 6.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import LinAlgError, solveh_banded

from understudy.decompose.body_pose import FREEDOMS, BodyPoints
from understudy.decompose.body_terms import Linearised, Rows, State, Stencil, linearise, robust

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
        r = (rows.residual * root)[:, used].reshape(time, -1)
        D = (rows.d_pose[:, used] * root[:, used, :, None]).reshape(time, -1, FREEDOMS)
        Dt = np.swapaxes(D, 1, 2)
        H[0] += Dt @ D
        gradient += (Dt @ r[..., None])[..., 0]
        if rows.d_shared is not None:
            S = (rows.d_shared[:, used] * root[:, used, :, None]).reshape(time, -1, shared)
            H_shared += Dt @ S
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
    order = len(stencil.factors)
    windows = len(lin.placed.points_m) - order + 1
    if windows < 1:
        return 0.0
    components = lin.d_shape.shape[-1]
    points, d_pose, d_shape = (values[:, stencil.points] for values in (lin.placed.points_m, lin.d_pose, lin.d_shape))
    ahead = [slice(k, k + windows) for k in range(order)]
    r = sum(f * points[at] for f, at in zip(stencil.factors, ahead, strict=True)) * stencil.scale[:, None]
    squared, weight = robust((r**2).sum(-1), stencil.kernel, stencil.kernel_scale)
    # Weights go with the residuals on one side of each product.
    W = (stencil.weight * weight * stencil.scale**2)[:, :, None, None]
    r = (r * (stencil.weight * weight * stencil.scale)[..., None]).reshape(windows, -1)
    S = sum(f * d_shape[at] for f, at in zip(stencil.factors, ahead, strict=True))
    WS = (S * W).reshape(windows, -1, components)
    S = S.reshape(windows, -1, components)
    for a, (factor_a, at_a) in enumerate(zip(stencil.factors, ahead, strict=True)):
        D_a = np.swapaxes((factor_a * d_pose[at_a]).reshape(windows, -1, FREEDOMS), 1, 2)
        gradient[at_a] += (D_a @ r[..., None])[..., 0]
        H_shared[at_a, :, :components] += D_a @ WS
        WD_a = np.swapaxes((factor_a * d_pose[at_a] * W).reshape(windows, -1, FREEDOMS), 1, 2)
        for b in range(a + 1):
            D_b = (stencil.factors[b] * d_pose[ahead[b]]).reshape(windows, -1, FREEDOMS)
            H[a - b, ahead[b]] += WD_a @ D_b
    H_corner[:components, :components] += S.reshape(-1, components).T @ WS.reshape(-1, components)
    gradient_shared[:components] += S.reshape(-1, components).T @ r.ravel()
    return float((stencil.weight * squared).sum())


def solve_step(
    equations: NormalEquations, free: Bool[np.ndarray, " shared"], damping: float
) -> tuple[Float[np.ndarray, "time freedom"], Float[np.ndarray, " shared"]]:
    """The step that minimises the quadratic model, with `damping` times its diagonal added.

    Raises LinAlgError where the damped matrix is not positive definite.
    """
    reach, time = equations.H.shape[:2]
    # Column c of block t holds rows c … c + width of the blocks below it: LAPACK's lower band, column by column.
    width = reach * FREEDOMS
    columns = np.zeros((time, FREEDOMS, width + FREEDOMS))
    columns[..., :width] = equations.H.transpose(1, 3, 0, 2).reshape(time, FREEDOMS, width)
    diagonal = np.einsum("tii->ti", columns[..., :FREEDOMS])
    diagonal += damping * diagonal + 1e-6
    strides = columns.strides
    band = np.lib.stride_tricks.as_strided(
        columns, (time, FREEDOMS, width), (strides[0], strides[1] + strides[2], strides[2])
    )
    band = band.reshape(time * FREEDOMS, width).T
    known = np.concatenate([-equations.gradient[..., None], equations.H_shared[..., free]], -1)
    solved = solveh_banded(band, known.reshape(time * FREEDOMS, -1), lower=True, check_finite=False)
    step, spread = solved[:, 0], solved[:, 1:]
    coupling = equations.H_shared[..., free].reshape(time * FREEDOMS, -1)
    corner = equations.H_corner[np.ix_(free, free)]
    corner = corner + np.diag(damping * np.diag(corner) + 1e-6)
    shared = np.zeros(len(free))
    if free.any():
        shared[free] = np.linalg.solve(
            corner - coupling.T @ spread, -equations.gradient_shared[free] - coupling.T @ step
        )
        step = step - spread @ shared[free]
    return step.reshape(time, FREEDOMS), shared


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
            if damping > 1e6:
                break
    return state, equations.cost
