"""Bundle adjustment: camera poses, one or many focal lengths and points, from observed points; robust, deterministic.

Points are homogeneous (x, y, z, w) of unit length, so that distant points and, with w = 0, pure directions are
treated alike: a camera that only turns is the same problem with `translate` false and w held at zero.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from understudy.geometry.rotations import matrix_from_vector

__all__ = [
    "Bundle",
    "BundleConfig",
    "adjust",
    "noise_scale_px",
    "refine_cameras",
    "refine_points",
    "residuals",
]


@dataclass(frozen=True)
class Bundle:
    """Cameras that see points. Observations are sorted by point."""

    R_camera_world: Float[np.ndarray, "camera 3 3"]
    t_camera_world: Float[np.ndarray, "camera 3"]
    focal_px: Float[np.ndarray, " camera"]
    centre_px: Float[np.ndarray, "2"]
    points: Float[np.ndarray, "point 4"]
    """Homogeneous, unit length. While w < 0 a point lies beyond infinity: no point of the set, but to forbid it would
    leave the others' steps without it wrong."""
    camera: Int[np.ndarray, " observation"]
    point: Int[np.ndarray, " observation"]
    xy_px: Float[np.ndarray, "observation 2"]


@dataclass(frozen=True)
class BundleConfig:
    """What is solved for, and how robustly."""

    translate: bool
    """Whether cameras change place and points have depths."""
    scale_px: float
    """Residual at which an observation's weight has dropped to a half (Cauchy loss)."""
    focal: str = "shared"
    """"fixed", "shared" (one for all cameras) or "each" (one per camera, smooth along them: a zoom)."""
    focal_prior_px: float = 0.0
    """Where the focal length is expected; 0: nowhere."""
    focal_prior_spread: float = 0.3
    """Standard deviation of the logarithm of the focal length around the prior."""
    focal_prior_gain: float = 0.02
    """How far off the expected focal length may pull, as a share of the cost at one standard deviation. Tracking
    errors are not independent, so that counting observations would let them outvote any prior on a camera move that
    says nothing of the lens (a straight push-in: each focal length fits, with depths stretched to match)."""
    zoom_spread: float = 0.02
    """Standard deviation of the change of the zoom's speed (in log focal length) from one camera to the next."""
    iterations: int = 30


def residuals(bundle: Bundle) -> Float[np.ndarray, "observation 2"]:
    """Projection minus observation, in pixels; 1e4 where a point is not in front of the camera."""
    y = _camera_points(bundle)
    ahead = y[:, 2] > 1e-9
    z = np.where(ahead, y[:, 2], 1.0)
    r = bundle.focal_px[bundle.camera, None] * y[:, :2] / z[:, None] + bundle.centre_px - bundle.xy_px
    return np.where(ahead[:, None], r, 1e4)


def noise_scale_px(bundle: Bundle, unit_px: float) -> float:
    """The robust scale that suits what is left: three medians, so that drifting and wrong tracks lose their say."""
    left = float(np.median(np.linalg.norm(residuals(bundle), axis=1)))
    return float(np.clip(3.0 * left, 0.25 * unit_px, unit_px))


def adjust(bundle: Bundle, config: BundleConfig) -> Bundle:
    """Levenberg–Marquardt over everything; the first camera stays. The world's scale is left as it drifts.

    Points are eliminated (Schur complement), in runs of neighbouring tracks, which see few cameras: cost and memory
    grow linearly with the shot. Source: Triggs et al. 1999, Bundle adjustment – a modern synthesis; Hartley and
    Zisserman, appendix 6.
    """
    spread = float(_loss(residuals(bundle), config.scale_px).sum())
    config = replace(
        config, focal_prior_spread=config.focal_prior_spread / max(np.sqrt(config.focal_prior_gain * spread), 1e-9)
    )
    damping, cost = 1e-4, _cost(bundle, config)
    for _ in range(config.iterations):
        system = _reduced_system(bundle, config, damping)
        candidate = _step(bundle, config, *system)
        candidate_cost = _cost(candidate, config)
        if candidate_cost < cost:
            gain = (cost - candidate_cost) / max(cost, 1e-12)
            bundle, cost, damping = candidate, candidate_cost, max(damping * 0.2, 1e-8)
            if gain < 1e-5:
                break
        else:
            damping *= 8.0
            if damping > 1e4:
                break
    return bundle


def refine_cameras(bundle: Bundle, translate: bool, scale_px: float, iterations: int = 12) -> Bundle:
    """Every camera by itself against fixed points and focal lengths (resection), all in one batch."""
    size = 6 if translate else 3
    cameras = len(bundle.focal_px)
    damping = np.full(cameras, 1e-4)
    cost = _cost_by(bundle, scale_px, bundle.camera, cameras)
    for _ in range(iterations):
        r, J, _, _ = _linearise(bundle, translate)
        weight = _weights(r, scale_px)
        H, g = _normal_by(weight, J, r, bundle.camera, cameras)
        diagonal = np.einsum("cii->ci", H)
        H = H + np.eye(size) * (diagonal * damping[:, None] + 1e-9 * (1 + diagonal.max(1, keepdims=True)))[:, None]
        delta = -np.linalg.solve(H, g[..., None])[..., 0]
        candidate = replace(
            bundle,
            R_camera_world=matrix_from_vector(delta[:, :3]) @ bundle.R_camera_world,
            t_camera_world=bundle.t_camera_world + (delta[:, 3:] if translate else 0.0),
        )
        new_cost = _cost_by(candidate, scale_px, bundle.camera, cameras)
        better = new_cost < cost
        bundle = replace(
            bundle,
            R_camera_world=np.where(better[:, None, None], candidate.R_camera_world, bundle.R_camera_world),
            t_camera_world=np.where(better[:, None], candidate.t_camera_world, bundle.t_camera_world),
        )
        settled = ~better | (cost - new_cost < 1e-6 * cost)
        damping = np.where(better, damping * 0.2, damping * 10)
        cost = np.where(better, new_cost, cost)
        if settled.all():
            break
    return bundle


def refine_points(bundle: Bundle, translate: bool, scale_px: float, iterations: int = 12) -> Bundle:
    """Every point by itself against fixed cameras (triangulation), all in one batch."""
    count = len(bundle.points)
    damping = np.full(count, 1e-3)
    cost = _cost_by(bundle, scale_px, bundle.point, count)
    for _ in range(iterations):
        r, _, J, mirrors = _linearise(bundle, translate)
        H, g = _normal_by(_weights(r, scale_px), J, r, bundle.point, count)
        size = H.shape[-1]
        diagonal = np.einsum("cii->ci", H)
        H = H + np.eye(size) * (diagonal * damping[:, None] + 1e-9 * (1 + diagonal.max(1, keepdims=True)))[:, None]
        candidate = replace(bundle, points=_moved(bundle.points, mirrors, -np.linalg.solve(H, g[..., None])[..., 0]))
        new_cost = _cost_by(candidate, scale_px, bundle.point, count)
        better = new_cost < cost
        bundle = replace(bundle, points=np.where(better[:, None], candidate.points, bundle.points))
        settled = ~better | (cost - new_cost < 1e-6 * cost)
        damping = np.where(better, damping * 0.2, damping * 10)
        cost = np.where(better, new_cost, cost)
        if settled.all():
            break
    return bundle


def _turned(bundle: Bundle) -> np.ndarray:
    """Each observation's point (x, y, z), turned into its camera's axes."""
    X = bundle.points[bundle.point]
    R = bundle.R_camera_world[bundle.camera]
    return R[:, :, 0] * X[:, :1] + R[:, :, 1] * X[:, 1:2] + R[:, :, 2] * X[:, 2:3]


def _camera_points(bundle: Bundle) -> np.ndarray:
    return _turned(bundle) + bundle.points[bundle.point, 3:] * bundle.t_camera_world[bundle.camera]


def _mirrors(points: np.ndarray, translate: bool) -> np.ndarray:
    """A unit vector v per point; the reflection I − 2 v vᵀ takes the point to the last axis, up to sign.

    So it takes the other axes to the directions in which the point can move: three, or two for directions alone.
    """
    v = points if translate else points[:, :3]
    last = np.where(v[:, -1:] >= 0, 1.0, -1.0)
    v = np.concatenate([v[:, :-1], v[:, -1:] + last], 1)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def _moved(points: np.ndarray, mirrors: np.ndarray, delta: np.ndarray) -> np.ndarray:
    size = delta.shape[1]
    step = -2 * mirrors * (mirrors[:, :size] * delta).sum(1, keepdims=True)
    step[:, :size] += delta
    moved = points.copy()
    moved[:, : size + 1] += step
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def _linearise(bundle: Bundle, translate: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Residuals, their derivatives by camera (turn, shift) and by point (tangent), and the points' mirrors."""
    turned = _turned(bundle)
    w = bundle.points[bundle.point, 3:]
    t = bundle.t_camera_world[bundle.camera]
    y = turned + w * t
    z = np.where(y[:, 2] > 1e-9, y[:, 2], np.inf)
    a, b, scale = y[:, 0] / z, y[:, 1] / z, bundle.focal_px[bundle.camera] / z
    x_t, y_t, z_t = turned.T
    by_camera = np.zeros((len(y), 2, 6 if translate else 3))
    by_camera[:, 0, 0], by_camera[:, 0, 1], by_camera[:, 0, 2] = -a * y_t, z_t + a * x_t, -y_t
    by_camera[:, 1, 0], by_camera[:, 1, 1], by_camera[:, 1, 2] = -z_t - b * y_t, b * x_t, x_t
    if translate:
        by_camera[:, 0, 3] = by_camera[:, 1, 4] = w[:, 0]
        by_camera[:, 0, 5], by_camera[:, 1, 5] = -a * w[:, 0], -b * w[:, 0]
    by_camera *= scale[:, None, None]

    R = bundle.R_camera_world[bundle.camera]
    by_world = R[:, :2] - np.stack([a, b], 1)[:, :, None] * R[:, 2:]
    if translate:
        by_w = t[:, :2] - np.stack([a, b], 1) * t[:, 2:]
        by_world = np.concatenate([by_world, by_w[..., None]], 2)
    mirrors = _mirrors(bundle.points, translate)
    v = mirrors[bundle.point]
    along = by_world[:, 0] * v, by_world[:, 1] * v
    along_v = np.stack([along[0].sum(1), along[1].sum(1)], 1)
    by_point = by_world[:, :, :-1] - 2 * along_v[:, :, None] * v[:, None, :-1]
    by_point *= scale[:, None, None]
    return residuals(bundle), by_camera, by_point, mirrors


def _weights(r: np.ndarray, scale_px: float) -> np.ndarray:
    return 1.0 / (1.0 + (r * r).sum(1) / scale_px**2)


def _loss(r: np.ndarray, scale_px: float) -> np.ndarray:
    return scale_px**2 * np.log1p((r * r).sum(1) / scale_px**2)


def _cost_by(bundle: Bundle, scale_px: float, group: np.ndarray, groups: int) -> np.ndarray:
    return np.bincount(group, _loss(residuals(bundle), scale_px), groups)


def _normal_by(
    weight: np.ndarray, J: np.ndarray, r: np.ndarray, group: np.ndarray, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """JᵀJ and Jᵀr summed over each group of observations."""
    size = J.shape[2]
    H_sum, g_sum = np.empty((groups, size, size)), np.empty((groups, size))
    for i in range(size):
        weighted = weight[:, None] * J[:, :, i]
        g_sum[:, i] = np.bincount(group, (weighted * r).sum(1), groups)
        for j in range(i, size):
            product = weighted[:, 0] * J[:, 0, j] + weighted[:, 1] * J[:, 1, j]
            H_sum[:, i, j] = H_sum[:, j, i] = np.bincount(group, product, groups)
    return H_sum, g_sum


def _cost(bundle: Bundle, config: BundleConfig) -> float:
    """Robust squared pixels plus what the focal length's priors say."""
    total = float(_loss(residuals(bundle), config.scale_px).sum())
    if config.focal == "fixed":
        return total
    rows, target, log_focal = _focal_prior(bundle, config)
    return total + float(((rows @ log_focal - target) ** 2).sum())


def _focal_prior(bundle: Bundle, config: BundleConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear rows on the log focal lengths that are solved for, what they should give, and the present values."""
    log_focal = np.log(bundle.focal_px if config.focal == "each" else bundle.focal_px[:1])
    rows, target = [], []
    if config.focal_prior_px > 0:
        rows.append(np.full(len(log_focal), 1.0 / len(log_focal) / config.focal_prior_spread))
        target.append(np.log(config.focal_prior_px) / config.focal_prior_spread)
    if config.focal == "each":
        for middle in range(1, len(log_focal) - 1):
            row = np.zeros(len(log_focal))
            row[middle - 1 : middle + 2] = np.array([1.0, -2.0, 1.0]) / config.zoom_spread
            rows.append(row)
            target.append(0.0)
    return np.array(rows).reshape(len(rows), len(log_focal)), np.array(target), log_focal


def _reduced_system(bundle: Bundle, config: BundleConfig, damping: float) -> tuple[np.ndarray, ...]:
    """Solve for the cameras' and focals' step with the points eliminated, then the points' step."""
    r, by_camera, by_point, mirrors = _linearise(bundle, config.translate)
    weight = _weights(r, config.scale_px)
    cameras, size = len(bundle.focal_px), by_camera.shape[2]
    by_focal = (r + bundle.xy_px - bundle.centre_px)[..., None]
    by_focal[weight < 1e-6] = 0.0
    if config.focal == "each":
        by_camera, size = np.concatenate([by_camera, by_focal], 2), size + 1
    shared = 1 if config.focal == "shared" else 0
    root = np.sqrt(weight)[:, None, None]
    Jc, Jp, Jf, rw = by_camera * root, by_point * root, by_focal * root, r * root[..., 0]
    total = cameras * size + shared

    ones = np.ones(len(r))
    Hcc, gc = _normal_by(ones, Jc, rw, bundle.camera, cameras)
    Hpp, gp = _normal_by(ones, Jp, rw, bundle.point, len(bundle.points))
    dims = Hpp.shape[-1]
    diagonal = np.einsum("pii->pi", Hpp)
    Hpp = Hpp + np.eye(dims) * (diagonal * damping + 1e-9 * (1.0 + diagonal.max(1, keepdims=True)))[:, None]
    white = np.linalg.inv(np.linalg.cholesky(Hpp))

    H, g = np.zeros((total, total)), np.zeros(total)
    for camera in range(cameras):
        block = slice(camera * size, (camera + 1) * size)
        H[block, block], g[block] = Hcc[camera], gc[camera]
    if shared:
        cross = np.einsum("nki,nk->ni", Jc, Jf[..., 0])
        for i in range(size):
            H[i : cameras * size : size, -1] = np.bincount(bundle.camera, cross[:, i], cameras)
        H[-1, :-1] = H[:-1, -1]
        H[-1, -1], g[-1] = (Jf**2).sum(), (Jf[..., 0] * rw).sum()

    # Each observation's camera–point block, whitened so that the Schur complement is a plain product.
    Jw = Jp @ np.swapaxes(white, 1, 2)[bundle.point]
    whitened = Jc[:, 0, :, None] * Jw[:, 0, None, :] + Jc[:, 1, :, None] * Jw[:, 1, None, :]
    whitened_f = Jf[:, 0] * Jw[:, 0] + Jf[:, 1] * Jw[:, 1]
    white_g = np.einsum("ped,pd->pe", white, gp)
    for first, last, low, high in _runs(bundle):
        span = (high - low) * size
        points = slice(bundle.point[first], bundle.point[last - 1] + 1)
        local = bundle.point[first:last] - points.start
        Y = np.zeros((high - low, points.stop - points.start, size, dims))
        Y[bundle.camera[first:last] - low, local] = whitened[first:last]
        Y = Y.transpose(0, 2, 1, 3).reshape(span, -1)
        wg = white_g[points].ravel()
        block = slice(low * size, high * size)
        H[block, block] -= Y @ Y.T
        g[block] -= Y @ wg
        if shared:
            F = np.stack([np.bincount(local, whitened_f[first:last, d], points.stop - points.start)
                          for d in range(dims)], 1).ravel()  # fmt: skip
            H[block, -1] -= Y @ F
            H[-1, block] -= Y @ F
            H[-1, -1] -= F @ F
            g[-1] -= F @ wg

    if config.focal != "fixed":
        rows, target, log_focal = _focal_prior(bundle, config)
        where = np.arange(size - 1, total, size) if config.focal == "each" else np.array([total - 1])
        H[np.ix_(where, where)] += rows.T @ rows
        g[where] += rows.T @ (rows @ log_focal - target)
    free = np.ones(total, bool)
    free[: 6 if config.translate else 3] = False
    H_free = H[np.ix_(free, free)]
    scale = np.abs(np.diag(H_free))
    H_free = H_free + np.diag(damping * scale + 1e-9 * scale.max())
    delta = np.zeros(total)
    delta[free] = -np.linalg.solve(H_free, g[free])

    by_cameras = delta[: cameras * size].reshape(cameras, size)[bundle.camera]
    pull = (whitened * by_cameras[:, :, None]).sum(1)
    if shared:
        pull = pull + whitened_f * delta[-1]
    summed = np.stack([np.bincount(bundle.point, pull[:, d], len(bundle.points)) for d in range(dims)], 1)
    points_delta = -np.einsum("ped,pe->pd", white, summed + white_g)
    return delta, points_delta, mirrors


def _runs(bundle: Bundle, points_each: int = 160) -> list[tuple[int, int, int, int]]:
    """Observations first:last of neighbouring points, and the cameras low:high that see them."""
    starts = np.searchsorted(bundle.point, np.arange(0, len(bundle.points), points_each))
    ends = np.append(starts[1:], len(bundle.point))
    return [
        (int(a), int(b), int(bundle.camera[a:b].min()), int(bundle.camera[a:b].max()) + 1)
        for a, b in zip(starts, ends, strict=True)
        if b > a
    ]


def _step(
    bundle: Bundle, config: BundleConfig, delta: np.ndarray, points_delta: np.ndarray, mirrors: np.ndarray
) -> Bundle:
    cameras = len(bundle.focal_px)
    size = (6 if config.translate else 3) + (1 if config.focal == "each" else 0)
    each = delta[: cameras * size].reshape(cameras, size)
    focal = bundle.focal_px
    if config.focal == "shared":
        focal = focal * np.exp(np.clip(delta[-1], -0.3, 0.3))
    elif config.focal == "each":
        focal = focal * np.exp(np.clip(each[:, -1], -0.3, 0.3))
    return replace(
        bundle,
        R_camera_world=matrix_from_vector(each[:, :3]) @ bundle.R_camera_world,
        t_camera_world=bundle.t_camera_world + (each[:, 3:6] if config.translate else 0.0),
        focal_px=focal,
        points=_moved(bundle.points, mirrors, points_delta),
    )
