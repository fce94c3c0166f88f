"""Solves normal equations: points eliminated, a banded Cholesky factor, the border by its Schur complement.

Cost and memory are linear in the number of frames, where points are not seen all through a shot.
Source: Triggs et al. 2000, Bundle Adjustment – A Modern Synthesis, section 6; Nocedal and Wright 2006, Numerical
Optimization, section 10.3.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve, cho_solve_banded, cholesky_banded

from understudy.solvers.normal_equations import NormalEquations, PointEquations
from understudy.solvers.unknowns import Step, columns

__all__ = ["damped_step"]

_FLOOR = 1e-12
"""Of the diagonal, as a share of its largest entry: an unknown that no residual touches stays where it is."""


def damped_step(equations: NormalEquations, damping: float) -> tuple[Step, float]:
    """The step that minimises the quadratic model with `damping` times its diagonal added, and what the model gains.

    Raises numpy.linalg.LinAlgError where the damped matrix is not positive definite.
    """
    unknowns = equations.unknowns
    reduced = _damped(equations, damping)
    eliminated = [_EliminatedPoints.of(points, damping) for points in equations.points]
    for points in eliminated:
        points.subtract_from(reduced)
    frames, shared = _solved(reduced)
    step = {name: np.zeros(size) for name, size in unknowns.held.items()}
    step |= {name: frames[:, columns(unknowns.per_frame, [name])] for name in unknowns.per_frame}
    step |= {name: shared[columns(unknowns.shared, [name])] for name in unknowns.shared}
    step |= {points.equations.name: points.step(frames, shared) for points in eliminated}
    return step, _gain(equations, frames, shared, step, damping)


def _gain(
    equations: NormalEquations,
    frames: Float[np.ndarray, "time n"],
    shared: Float[np.ndarray, " m"],
    step: Step,
    damping: float,
) -> float:
    """By how much a damped step lowers the quadratic model: −gᵀh + hᵀDh, with the damping D."""
    parts = [
        (equations.gradient, np.einsum("tii->ti", equations.band[0]), frames),
        (equations.gradient_shared, np.diag(equations.corner), shared),
        *((each.gradient, np.einsum("pii->pi", each.H), step[each.name]) for each in equations.points),
    ]
    return float(sum((-g * h + damping * diagonal * h**2).sum() for g, diagonal, h in parts))


def _damped(equations: NormalEquations, damping: float) -> NormalEquations:
    """A copy with a larger diagonal."""
    band, corner = equations.band.copy(), equations.corner.copy()
    for diagonal in (np.einsum("tii->ti", band[0]), np.einsum("ii->i", corner)):
        diagonal += _raised(diagonal, damping)
    return replace(
        equations,
        band=band,
        corner=corner,
        border=equations.border.copy(),
        gradient=equations.gradient.copy(),
        gradient_shared=equations.gradient_shared.copy(),
    )


def _raised(diagonal: Float[np.ndarray, "..."], damping: float) -> Float[np.ndarray, "..."]:
    """By how much a diagonal is raised."""
    return damping * diagonal + _FLOOR * max(float(diagonal.max(initial=0.0)), _FLOOR)


@dataclass(frozen=True)
class _EliminatedPoints:
    """Points out of the way: each one's unknowns turned until its block is the identity (whitened)."""

    equations: PointEquations
    white: Float[np.ndarray, "point size size"]
    """The inverse of the Cholesky factor of each point's damped block."""
    by_frame: Float[np.ndarray, "sighting n size"]
    by_shared: Float[np.ndarray, "point m size"]
    gradient: Float[np.ndarray, "point size"]

    @staticmethod
    def of(equations: PointEquations, damping: float) -> "_EliminatedPoints":
        """Raises numpy.linalg.LinAlgError where a point's damped block is not positive definite."""
        count, size = equations.gradient.shape
        diagonal = np.einsum("pii->pi", equations.H)
        H = equations.H + np.eye(size) * _raised(diagonal, damping)[:, None]
        white = np.linalg.inv(np.linalg.cholesky(H))
        point = equations.residuals.visible.point
        W = np.take(white.transpose(1, 2, 0), point, 2)
        P = equations.by_point.transpose(1, 2, 0)
        first, *others = (P[:, k, None] * W[:, k] for k in range(size))
        J = sum(others, first)
        by_frame, by_shared = (
            sum((other[:, k, :, None] * J[k].T[:, None] for k in range(len(J))), np.zeros(1))
            for other in (equations.by_frame, equations.by_shared)
        )
        summed = _summed(by_shared, point, count)
        return _EliminatedPoints(
            equations, white, by_frame, summed, (white @ equations.gradient[..., None])[..., 0]
        )  # fmt: skip

    def subtract_from(self, reduced: NormalEquations) -> None:
        """The Schur complement: a run of points is one product of matrices."""
        _, n, m = reduced.border.shape
        visible = self.equations.residuals.visible
        for seen, points, frames in visible.runs():
            span = frames.stop - frames.start
            Y = np.zeros((span, n, points.stop - points.start, self.gradient.shape[1]))
            Y[visible.frame[seen] - frames.start, :, visible.point[seen] - points.start] = self.by_frame[seen]
            Y = Y.reshape(span * n, self.gradient[points].size)
            product = (Y @ Y.T).reshape(span, n, span, n)
            for gap in range(span):
                blocks = np.diagonal(product, -gap, axis1=0, axis2=2)
                reduced.band[gap, frames.start : frames.stop - gap] -= np.moveaxis(blocks, -1, 0)
            reduced.gradient[frames] -= (Y @ self.gradient[points].ravel()).reshape(span, n)
            S = np.swapaxes(self.by_shared[points], 0, 1).reshape(m, self.gradient[points].size)
            reduced.border[frames] -= (Y @ S.T).reshape(span, n, m)
            reduced.corner[...] -= S @ S.T
            reduced.gradient_shared[...] -= S @ self.gradient[points].ravel()

    def step(
        self, frames: Float[np.ndarray, "time n"], shared: Float[np.ndarray, " m"]
    ) -> Float[np.ndarray, "point size"]:
        """The points' step that goes with one of frames and shared unknowns."""
        visible = self.equations.residuals.visible
        moved = np.take(frames.T, visible.frame, 1)
        pull = sum(
            (self.by_frame[:, k] * moved[k][:, None] for k in range(len(moved))),
            np.zeros((len(moved.T), self.white.shape[1])),
        )
        pull = _summed(pull, visible.point, len(self.gradient)) + np.einsum("pmd,m->pd", self.by_shared, shared)
        return -np.einsum("ped,pe->pd", self.white, pull + self.gradient)


def _summed(
    values: Float[np.ndarray, "sighting ..."], group: np.ndarray, groups: int
) -> Float[np.ndarray, "group ..."]:
    """Sums over each group of sightings."""
    flat = values.reshape(len(values), -1)
    sums = [np.bincount(group, column, groups) for column in flat.T]
    return np.stack(sums, -1).reshape(groups, *values.shape[1:]) if sums else np.zeros((groups, *values.shape[1:]))


def _solved(equations: NormalEquations) -> tuple[Float[np.ndarray, "time n"], Float[np.ndarray, " m"]]:
    """Frames' and shared unknowns. Overwrites the equations."""
    time, n = equations.gradient.shape
    _tie_anchored(equations)
    m = len(equations.gradient_shared)
    border = equations.border.reshape(time * n, m)
    known = np.column_stack([-equations.gradient.ravel(), border])
    if n:
        factor = cholesky_banded(_lower_band(equations), overwrite_ab=True, lower=True, check_finite=False)
        known = cho_solve_banded((factor, True), known, overwrite_b=True, check_finite=False)
    if not m:
        return known[:, 0].reshape(time, n), np.zeros(0)
    schur = equations.corner - border.T @ known[:, 1:]
    shared = cho_solve(cho_factor(schur), -equations.gradient_shared - border.T @ known[:, 0])
    return (known[:, 0] - known[:, 1:] @ shared).reshape(time, n), shared


def _tie_anchored(equations: NormalEquations) -> None:
    """Anchored unknowns couple with nothing, and nothing pulls at them."""
    unknowns = equations.unknowns
    tied = columns(unknowns.per_frame, unknowns.anchored)
    equations.band[:, 0, :, tied] = 0.0
    equations.band[0, 0, tied] = 0.0
    equations.band[0, 0, tied, tied] = 1.0
    equations.border[0, tied] = 0.0
    equations.gradient[0, tied] = 0.0


def _lower_band(equations: NormalEquations) -> Float[np.ndarray, "width unknown"]:
    """The banded part as LAPACK's lower band: entry [i − j, j] is the matrix's [i, j]."""
    reach, time, n, _ = equations.band.shape
    band = np.zeros((reach * n, time * n), order="F")
    for gap, blocks in enumerate(equations.band):
        for column in range(n):
            first = column if gap == 0 else 0
            rows = slice(gap * n + first - column, gap * n + n - column)
            band[rows, column : (time - gap) * n : n] = blocks[: time - gap, first:, column].T
    return band
