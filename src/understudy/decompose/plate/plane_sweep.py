"""How far the set is behind the actor: a plane sweep through frames that see it.

Where the actor stands, few frames see the set, and mostly from one side: colours alone leave the depth open. So the
candidates are first of all the floors and walls that the camera's sparse points lie on, the surroundings are solved
together with the hole, and behind the actor the set may not be nearer or farther than what is left and right of them.

Sources: Collins 1996, A space-sweep approach to true multi-image matching (the sweep); Gallup et al. 2007, Real-time
plane-sweeping stereo with multiple sweeping directions (slanted planes); Hirschmüller 2008, Stereo processing by
semi-global matching (the smoothing).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from understudy.core.camera import UnscaledCameraPath
from understudy.core.footage import CameraSolution
from understudy.decompose.plate.blend import Box
from understudy.decompose.plate.depth import look_into, pixels_of, relative_view, small_box, small_part
from understudy.decompose.plate.sources import Source
from understudy.imaging.inpaint import spread_inwards
from understudy.runtime.checks import check_options
from understudy.runtime.parallel import in_order

__all__ = ["SweepConfig", "background_inverse_depth"]


@dataclass(frozen=True)
class SweepConfig:
    """How the depth behind the actor is found."""

    walls: int = 5
    """Most planes that are fitted to the solution's sparse points: sets are made of floors and walls."""
    planes: int = 18
    """Further planes that are tried, parallel to the picture."""
    parallel_cost: float = 1.5
    """What it costs to lie on one of those instead of a wall or a floor, in 8-bit levels."""
    sources: int = 8
    """Frames that vote."""
    truncation: float = 24.0
    """Differences of colour beyond this many 8-bit levels count as this much: occlusion, not error."""
    smooth_step: float = 4.0
    """What a step of one plane between neighbours costs, in levels."""
    smooth_jump: float = 20.0
    """What a larger step costs."""
    prior: float = 5.0
    """What it costs to lie far from the depth that the solution's sparse points suggest."""
    unseen: float = 6.0
    """What a depth costs at which fewer than two frames see the place: it is neither confirmed nor refuted."""
    inherit: float = 8.0
    """What it costs to leave the depth that was found for the keyframe before."""
    beyond_ring: float = 9.0
    """What it costs, behind the actor, to be nearer or farther than all that is left and right of them."""

    def __post_init__(self) -> None:
        check_options(
            self,
            walls=(0, 100),
            planes=(2, 500),
            sources=(2, 500),
            truncation=(0, 255),
            **dict.fromkeys(
                ("parallel_cost", "smooth_step", "smooth_jump", "prior", "unseen", "inherit", "beyond_ring"),
                (0, 10_000),
            ),
        )


def background_inverse_depth(
    target: Source,
    box: Box,
    scale: int,
    sources: Sequence[Source],
    solution: CameraSolution,
    config: SweepConfig,
    inherited: Float[np.ndarray, "rows columns"] | None = None,
) -> Float[np.ndarray, "rows columns"]:
    """Inverse depth of the set in the target's small box, behind people too.

    Args:
        sources: nearest in time first.
        inherited: what was found in the keyframe before, carried here.
    """
    at, inverse, everywhere = _points_near(solution, target.time, box, scale)
    low, high = _range(inverse if len(inverse) >= 8 else everywhere)
    prior = _prior(at, inverse, box, scale, low, high)
    rows, columns = prior.shape
    free = target.small_free[small_part(box, scale)] > 0
    voters = _voters(target.time, box, scale, prior, ~free, sources, solution.camera, config.sources)
    walls = _walls(at, inverse, config.walls, 0.02 * (high - low))
    parallel = [np.array([0.0, 0.0, w]) for w in np.linspace(low, high, config.planes)]
    planes = [*walls, *parallel]
    depths = np.stack([_on_plane(plane, rows, columns) for plane in planes])
    views = [_PlaneView(source, target.time, box, scale, solution.camera) for source in (target, *voters)]
    cost = np.stack(list(in_order(lambda plane: _disagreement(plane, views, rows, columns, config), planes)))
    cost[len(walls) :] += config.parallel_cost
    span = high - low
    outside = np.maximum(low - depths, depths - high).clip(0) / (0.1 * span)
    cost += config.prior * np.minimum(np.abs(depths - prior) / (0.25 * span), 1.0)
    cost += config.truncation * np.minimum(outside, 1.0)
    if inherited is not None:
        cost += config.inherit * np.minimum(np.abs(depths - inherited) / (0.08 * span), 1.0)
    total = _semi_global(cost, len(walls), config)
    if not free.all():
        found = np.take_along_axis(depths, total.argmin(0)[None], 0)[0]
        near, far = _ring_limits(found, free, low, high)
        beyond = np.maximum(far[:, None] - depths, depths - near[:, None]) - 0.03 * span
        penalty = config.beyond_ring * np.clip(beyond / (0.1 * span), 0.0, 1.0)
        cost += np.where(free, np.float32(0), penalty)
        total = _semi_global(cost, len(walls), config)
    return _finest(total, depths, len(walls), span / (config.planes - 1))


def _on_plane(plane: Float[np.ndarray, "3"], rows: int, columns: int) -> Float[np.ndarray, "rows columns"]:
    return (plane[0] * np.arange(columns) + plane[1] * np.arange(rows)[:, None] + plane[2]).astype(np.float32)


def _walls(
    at: Float[np.ndarray, "n 2"], inverse: Float[np.ndarray, " n"], count: int, tolerance: float
) -> list[Float[np.ndarray, "3"]]:
    """Planes on which many sparse points lie: inverse depth is an affine function of the pixel on each plane.

    Source: Fischler and Bolles 1981, Random sample consensus; one plane after the other.
    """
    walls: list[np.ndarray] = []
    rng = np.random.default_rng(0)
    homogeneous = np.concatenate([at, np.ones((len(at), 1))], 1)
    left = np.arange(len(at))
    least = max(10, round(0.05 * len(at)))
    while len(walls) < count and len(left) >= least:
        x, w = homogeneous[left], inverse[left]
        picks = rng.integers(len(left), size=(300, 3))
        corners = x[picks]
        sound = np.abs(np.linalg.det(corners)) > 25.0
        if not sound.any():
            break
        planes = np.linalg.solve(corners[sound], w[picks[sound]][..., None])[..., 0]
        inlier = np.abs(planes @ x.T - w) < tolerance
        inside = inlier[int(inlier.sum(1).argmax())]
        for _ in range(5):
            if inside.sum() < least:
                break
            plane = np.linalg.lstsq(x[inside], w[inside], rcond=None)[0]
            error = np.abs(x @ plane - w)
            # Ever closer to the plane itself: sills, doors and posters a little before it would tilt it. But not closer
            # than a share of the tolerance: points without noise have a median error of 0.
            inside = error < np.clip(3.0 * np.median(error[inside]), 0.05 * tolerance, tolerance)
        if inside.sum() < least:
            break
        walls.append(plane)
        left = left[error >= tolerance]
    return walls


def _finest(
    total: Float[np.ndarray, "plane rows columns"],
    depths: Float[np.ndarray, "plane rows columns"],
    walls: int,
    step: float,
) -> Float[np.ndarray, "rows columns"]:
    """The cheapest inverse depth; between planes too, where they are parallel to the picture."""
    best = total.argmin(0)
    inner = np.clip(best, walls + 1, len(total) - 2)
    left, middle, right = (np.take_along_axis(total, inner[None] + k, 0)[0] for k in (-1, 0, 1))
    bend = np.maximum(left - 2 * middle + right, 1e-3)
    fraction = np.where(best == inner, np.clip(0.5 * (left - right) / bend, -0.5, 0.5), 0.0)
    depth = np.take_along_axis(depths, best[None], 0)[0] + (fraction * step).astype(np.float32)
    return cv2.medianBlur(depth, 5) if min(depth.shape) >= 5 else depth


def _ring_limits(
    depth: Float[np.ndarray, "rows columns"], free: Bool[np.ndarray, "rows columns"], low: float, high: float
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Nearest and farthest inverse depth just left and right of the hole, row by row (with the rows around)."""
    near, far = np.full(len(depth), low), np.full(len(depth), high)
    for row in np.flatnonzero(~free.all(1)):
        hole = np.flatnonzero(~free[row])
        before, after = depth[row, max(hole[0] - 10, 0) : hole[0]], depth[row, hole[-1] + 1 : hole[-1] + 11]
        sides = [float(np.median(side)) for side in (before, after) if len(side) > 2]
        near[row], far[row] = (max(sides), min(sides)) if sides else (high, low)
    return maximum_filter1d(near, 7).astype(np.float32), minimum_filter1d(far, 7).astype(np.float32)


def _voters(
    time: int,
    box: Box,
    scale: int,
    prior: Float[np.ndarray, "rows columns"],
    hole: Bool[np.ndarray, "rows columns"],
    near_first: Sequence[Source],
    camera: UnscaledCameraPath,
    count: int,
) -> list[Source]:
    """Half by closeness (spread, for the surroundings), half by how much they see behind the actor."""
    if len(near_first) <= count:
        return list(near_first)
    places = np.round((np.linspace(0, 1, count // 2 + 1)[1:] ** 1.5) * (len(near_first) // 2)).astype(int)
    chosen = {int(place) for place in places}
    y, x = np.nonzero(hole)
    if len(y):
        step = max(1, len(y) // 300)
        y, x = y[::step], x[::step]
        score = np.empty(len(near_first))
        for index, source in enumerate(near_first):
            at = (look_into(camera, time, source.time, box, scale, prior.astype(np.float32))[y, x] + 0.5) / scale
            rows, columns = source.small_free.shape
            inside = (at >= 0).all(1) & (at[:, 0] < columns) & (at[:, 1] < rows)
            place = at[inside].astype(np.intp)
            seen = source.small_free[place[:, 1], place[:, 0]].sum() / len(y)
            # Nearer frames see the place at its own size and sharpness.
            score[index] = seen / (1 + abs(source.time - time) / 40)
        for index in np.argsort(-score).tolist():
            if len(chosen) >= count:
                break
            # Two neighbours in time say the same.
            if all(abs(near_first[index].time - near_first[other].time) > 3 for other in chosen):
                chosen.add(index)
    return [near_first[index] for index in sorted(chosen)]


def _range(inverse: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Lowest and highest inverse depth to search."""
    low, high = np.percentile(inverse, [1, 99])
    spread = max(float(high - low), 0.05 * float(high))
    return max(float(low) - 0.3 * spread, 0.0), float(high) + 0.25 * spread


def _points_near(
    solution: CameraSolution, time: int, box: Box, scale: int
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"], Float[np.ndarray, " m"]]:
    """Sparse points in and around the box (column and row of the small box; inverse depth), and all inverse depths."""
    T = np.linalg.inv(solution.camera.T_world_camera[time])
    points = solution.points @ T[:3, :3].T + T[:3, 3]
    points = points[points[:, 2] > 1e-6]
    if len(points) == 0:
        return np.zeros((0, 2)), np.zeros(0), np.ones(1)
    image = points @ solution.camera.K[time].T
    at = (image[:, :2] / image[:, 2:] - (box.left, box.top)) / scale - 0.5
    rows, columns = small_box(box, scale)
    margin = max(rows, columns)
    near = (at > -margin).all(1) & (at[:, 0] < columns + margin) & (at[:, 1] < rows + margin)
    return at[near], 1.0 / points[near, 2], 1.0 / points[:, 2]


def _prior(
    at: Float[np.ndarray, "n 2"], inverse: Float[np.ndarray, " n"], box: Box, scale: int, low: float, high: float
) -> Float[np.ndarray, "rows columns"]:
    """Inverse depth spread smoothly from the sparse points."""
    rows, columns = small_box(box, scale)
    if len(inverse) < 8:
        return np.full((rows, columns), 0.5 * (low + high), np.float32)
    pad = max(rows, columns)
    cell = np.floor(at + 0.5).astype(int) + pad
    size = (rows + 2 * pad, columns + 2 * pad)
    keep = (cell >= 0).all(1) & (cell[:, 0] < size[1]) & (cell[:, 1] < size[0])
    total, count = np.zeros(size, np.float32), np.zeros(size, np.float32)
    np.add.at(total, (cell[keep, 1], cell[keep, 0]), np.clip(inverse[keep], low, high))
    np.add.at(count, (cell[keep, 1], cell[keep, 0]), 1.0)
    smooth = spread_inwards(total / np.maximum(count, 1.0), count > 0)
    return smooth[pad : pad + rows, pad : pad + columns]


class _PlaneView:
    """A source to be looked at along planes."""

    def __init__(self, source: Source, target: int, box: Box, scale: int, camera: UnscaledCameraPath) -> None:
        A, self._b = relative_view(camera, target, source.time)
        self._A = A @ pixels_of(box, scale)
        self._to_small = np.array([[1 / scale, 0, -0.5], [0, 1 / scale, -0.5], [0, 0, 1.0]])
        # Bytes are warped at half the cost of floating point.
        self._picture = np.dstack([np.rint(source.small), 255 * source.small_free]).astype(np.uint8)

    def along(self, plane: Float[np.ndarray, "3"], rows: int, columns: int) -> UInt8[np.ndarray, "rows columns 4"]:
        """What it shows of a plane in the target's small box, and where it sees the set (255, else less)."""
        H = self._to_small @ (self._A + np.outer(self._b, plane))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpPerspective(self._picture, H, (columns, rows), flags=flags)


def _disagreement(
    plane: Float[np.ndarray, "3"], sources: Sequence[_PlaneView], rows: int, columns: int, config: SweepConfig
) -> Float32[np.ndarray, "rows columns"]:
    """How much frames, the target first, disagree about the colours if all lay on one plane; neutral where fewer than
    two see.

    `plane`: inverse depth = plane · (column, row, 1) of the small box.
    """
    warped = np.concatenate([source.along(plane, rows, columns) for source in sources])
    *colours, free = (channel.reshape(-1, rows, columns) for channel in cv2.split(warped))
    values, weight = np.stack(colours).astype(np.float32), (free == 255).astype(np.float32)
    seen = weight.sum(0) >= 2
    # The target itself counts more: the surroundings must fit this frame.
    weight[0] *= 2.0
    error = _error(values, weight, config)
    # Once more without the worst: occluders in some frames must not pull the mean.
    error = _error(values, weight * np.exp(-((error / (0.5 * config.truncation)) ** 2)), config)
    cost = (error * weight).sum(0) / np.maximum(weight.sum(0), 1e-6)
    share = cv2.blur(seen.astype(np.float32), (5, 5))
    smooth = cv2.blur(np.where(seen, cost, 0.0).astype(np.float32), (5, 5)) / np.maximum(share, 0.2)
    return np.where(share > 0.2, smooth, np.float32(config.unseen))


def _error(
    values: Float32[np.ndarray, "3 source rows columns"],
    weights: Float32[np.ndarray, "source rows columns"],
    config: SweepConfig,
) -> Float32[np.ndarray, "source rows columns"]:
    """How far each source's colour is from their weighted mean, in 8-bit levels."""
    total, error = np.maximum(weights.sum(0), np.float32(1e-6)), np.zeros_like(weights)
    for channel in values:
        difference = channel - (channel * weights).sum(0) / total
        error += np.abs(difference, out=difference)
    error *= np.float32(1 / 3)
    return np.minimum(error, np.float32(config.truncation), out=error)


def _semi_global(
    cost: Float[np.ndarray, "plane rows columns"], walls: int, config: SweepConfig
) -> Float[np.ndarray, "plane rows columns"]:
    """The costs of the cheapest smooth paths from four sides, summed; the first `walls` planes have no neighbours."""
    across = np.swapaxes(_both_ways(np.swapaxes(cost, 1, 2), walls, config), 1, 2)
    return _both_ways(cost, walls, config) + across


def _both_ways(
    cost: Float[np.ndarray, "plane step line"], walls: int, config: SweepConfig
) -> Float[np.ndarray, "plane step line"]:
    """The costs of the cheapest smooth paths along the steps, forwards and backwards, summed."""
    volume = np.ascontiguousarray(np.stack([cost, cost[:, ::-1]]).transpose(2, 1, 0, 3))  # step plane way line
    jump, step = np.float32(config.smooth_jump), np.float32(config.smooth_step)
    for last, path in pairwise(volume):
        least = last.min(0)
        best = np.minimum(last, least + jump)
        change = last[walls:] + step
        np.minimum(best[walls + 1 :], change[:-1], out=best[walls + 1 :])
        np.minimum(best[walls:-1], change[1:], out=best[walls:-1])
        best -= least
        path += best
    forwards, backwards = volume.transpose(2, 1, 0, 3)
    return forwards + backwards[:, ::-1]
