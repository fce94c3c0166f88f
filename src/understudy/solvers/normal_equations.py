"""The normal equations of a least-squares problem over time: a band, a border, and points to eliminate.

Frames couple with a few neighbours only: a band. What all frames share is its border. Points couple with the frames
that see them and with each other not at all, so they are eliminated first (Schur complement) and found last.
Source: Triggs et al. 2000, Bundle Adjustment – A Modern Synthesis, sections 4 and 6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from understudy.solvers.independent import summed_products
from understudy.solvers.residuals import FrameResiduals, PointResiduals, Residuals, SharedResiduals
from understudy.solvers.unknowns import Unknowns, columns

__all__ = ["NormalEquations", "PointEquations", "normal_equations"]


@dataclass(frozen=True)
class PointEquations:
    """What sightings say of points, and of frames and shared unknowns through them; rows are weighed already."""

    residuals: PointResiduals
    name: str
    """Of the points' block."""
    by_frame: Float[np.ndarray, "sighting part n"]
    by_shared: Float[np.ndarray, "sighting part m"]
    by_point: Float[np.ndarray, "sighting part size"]
    H: Float[np.ndarray, "point size size"]
    gradient: Float[np.ndarray, "point size"]


@dataclass(frozen=True)
class NormalEquations:
    """The quadratic model of the cost about a state: 2 gradientᵀ x + xᵀ H x, all arrays but the points' summed up."""

    unknowns: Unknowns
    band: Float[np.ndarray, "reach_1 time n n"]
    """band[k, t] couples frame t + k (rows) with frame t (columns)."""
    border: Float[np.ndarray, "time n m"]
    corner: Float[np.ndarray, "m m"]
    gradient: Float[np.ndarray, "time n"]
    gradient_shared: Float[np.ndarray, " m"]
    points: list[PointEquations] = field(default_factory=list)


def normal_equations(unknowns: Unknowns, residuals: Sequence[Residuals]) -> NormalEquations:
    """Sum up all residuals at a state."""
    time, n, m = unknowns.frames, sum(unknowns.per_frame.values()), sum(unknowns.shared.values())
    reach = max((_reach(each) for each in residuals), default=0)
    equations = NormalEquations(
        unknowns,
        np.zeros((min(reach, time - 1) + 1, time, n, n)),
        np.zeros((time, n, m)),
        np.zeros((m, m)),
        np.zeros((time, n)),
        np.zeros(m),
    )
    for each in residuals:
        if isinstance(each, FrameResiduals):
            _add_frames(equations, each)
        elif isinstance(each, SharedResiduals):
            _add_shared(equations, each)
        else:
            _add_points(equations, each)
    return equations


def _reach(residuals: Residuals) -> int:
    if isinstance(residuals, FrameResiduals):
        return len(residuals.factors) - 1
    return residuals.visible.reach if isinstance(residuals, PointResiduals) else 0


def _joined(residuals: Residuals, names: Iterable[str], axes: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """The derivatives by some blocks side by side; `axes` are those of the residuals."""
    parts = [residuals.derivatives[name] for name in names]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts, -1) if parts else np.zeros((*axes, 0))


def _add_frames(equations: NormalEquations, term: FrameResiduals) -> None:
    """Add residuals along time: each frame's derivatives are used once, whatever the number of windows that hold it."""
    unknowns = equations.unknowns
    own = unknowns.named(term.derivatives, unknowns.per_frame)
    common = unknowns.named(term.derivatives, unknowns.shared)
    if not term.windows:
        return
    residual, weight, _ = term.weighed()
    used = np.flatnonzero(weight.any(0))
    if not len(used):
        return
    time, parts, windows = len(term.value), term.value.shape[2], term.windows
    rows = len(used) * parts
    W = np.repeat(weight[:, used], parts, axis=1)
    pull = W * residual[:, used].reshape(windows, rows)
    J = _joined(term, own, term.value.shape)[:, used].reshape(time, rows, -1)
    Jt = np.swapaxes(J, 1, 2)
    place = columns(unknowns.per_frame, own)
    at = _places(place, place)
    equations.gradient[:, place] += (Jt @ _spread(term.factors, pull, time)[..., None])[..., 0]
    for gap in range(len(term.factors)):
        # Over the windows that hold frame t and frame t + gap.
        pairs = [a * b for a, b in zip(term.factors, term.factors[gap:], strict=False)]
        together = _spread(pairs, W, time - gap)
        H = equations.band[gap, : time - gap]
        if gap:
            H[:, *at] += Jt[gap:] @ (J[: time - gap] * together[..., None])
        else:
            # A matrix times its own transpose takes half the work.
            scaled = J * np.sqrt(together)[..., None]
            H[:, *at] += np.swapaxes(scaled, 1, 2) @ scaled
    if not common:
        return
    S = term.differences(_joined(term, common, term.value.shape)[:, used].reshape(time, rows, -1))
    WS = S * W[..., None]
    place_shared = columns(unknowns.shared, common)
    equations.border[:, *_places(place, place_shared)] += Jt @ _spread(term.factors, WS, time)
    flat = S.reshape(windows * rows, -1)
    equations.corner[_places(place_shared, place_shared)] += flat.T @ WS.reshape(flat.shape)
    equations.gradient_shared[place_shared] += flat.T @ pull.ravel()


def _spread(
    factors: Sequence[float], values: Float[np.ndarray, "window ..."], time: int
) -> Float[np.ndarray, "time ..."]:
    """The values of windows given to their frames: Σₖ factors[k] · values[t − k]."""
    if len(factors) == 1:
        return values if factors[0] == 1.0 else factors[0] * values
    result = np.zeros((time, *values.shape[1:]))
    if len(values) < len(factors):
        line = np.array(factors).reshape(-1, *[1] * (values.ndim - 1))
        for window, value in enumerate(values):
            result[window : window + len(factors)] += line * value
        return result
    for k, factor in enumerate(factors):
        result[k : k + len(values)] += factor * values
    return result


def _places(rows: np.ndarray, across: np.ndarray) -> tuple[slice | np.ndarray, slice | np.ndarray]:
    """Rows and columns of a matrix as an index; as slices, which are quicker, where they follow one another."""
    slices: list[slice] = []
    for each in (rows, across):
        if len(each) and each[-1] - each[0] != len(each) - 1:
            down, right = np.ix_(rows, across)
            return down, right
        slices.append(slice(int(each[0]), int(each[-1]) + 1) if len(each) else slice(0, 0))
    return slices[0], slices[1]


def _add_shared(equations: NormalEquations, term: SharedResiduals) -> None:
    unknowns = equations.unknowns
    names = unknowns.named(term.derivatives, unknowns.shared)
    S = _joined(term, names, term.value.shape)
    place = columns(unknowns.shared, names)
    equations.corner[np.ix_(place, place)] += S.T @ S
    equations.gradient_shared[place] += S.T @ term.value


def _add_points(equations: NormalEquations, term: PointResiduals) -> None:
    """Add what sightings say of frames and shared unknowns; the points are kept to be eliminated."""
    unknowns, frame, point = equations.unknowns, term.visible.frame, term.visible.point
    name = unknowns.named(term.derivatives, unknowns.eliminated)[0]
    count, _ = unknowns.eliminated[name]
    weight, _ = term.weighed()
    root = np.sqrt(weight)[:, None]
    r = term.value * root
    groups = []
    for group in (unknowns.per_frame, unknowns.shared):
        names = unknowns.named(term.derivatives, group)
        # VisibilityGraph lie next to each other in memory: NumPy is several times quicker along long last axes.
        J = np.zeros((r.shape[1], sum(group.values()), len(r))).transpose(2, 0, 1)
        J[..., columns(group, names)] = _joined(term, names, r.shape) * root[..., None]
        groups.append(J)
    F, S = groups
    P = term.derivatives[name] * root[..., None]
    H, gradient = summed_products(P, r, point, count)
    equations.points.append(PointEquations(term, name, F, S, P, H, gradient))
    H, gradient = summed_products(F, r, frame, unknowns.frames)
    equations.band[0] += H
    equations.gradient[...] += gradient
    flat = S.reshape(r.size, S.shape[2])
    equations.corner[...] += flat.T @ flat
    equations.gradient_shared[...] += flat.T @ r.ravel()
    for k in range(S.shape[2]):
        cross = (F * S[..., k, None]).sum(1)
        for i, each in enumerate(cross.T):
            equations.border[:, i, k] += np.bincount(frame, each, unknowns.frames)
