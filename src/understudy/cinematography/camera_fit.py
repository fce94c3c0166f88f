"""Shape-aware camera re-fit: the camera under which a new body fills the frame as the actor did.

DreamCinema, section III-D, asks a differentiable renderer of the new body for three things in every frame, each
compared with what the original shot shows: where its parts are (semantic), its outline (instance), and how both move
(motion). Here the renderer is a projection of a few hundred points with derivatives in closed form, and all frames are
solved together, in seconds.

Behind the new body stands the plate of the source's own camera. So the fit starts from that camera, moved into the new
body's world by its scale (which leaves the picture of the ground as it was), and stays near it: pitch and roll most of
all, and the kind of the camera's move exactly. A static camera gets one offset; one that turns in place gets one place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from understudy.cinematography.body_proxy import BodyProxy, body_proxy, common_roles, foot_contact
from understudy.cinematography.fit_problem import FitProblem, FitWeights, Offsets
from understudy.cinematography.fit_terms import UNKNOWNS, FitCamera, Picture, picture_of
from understudy.cinematography.framing import measured_framing
from understudy.cinematography.protocol import CameraFit, CameraFitter, Framing
from understudy.core.camera import CameraMoveKind, CameraPath
from understudy.core.film import Performance
from understudy.geometry.rigid import transform_from
from understudy.geometry.rotations import matrix_from_vector, vector_from_matrix
from understudy.runtime.checks import check_options
from understudy.runtime.progress import Progress, silent
from understudy.solvers.levenberg_marquardt import LevenbergMarquardt, minimise
from understudy.solvers.unknowns import Unknowns

__all__ = ["CameraFitConfig", "PointCameraFitter", "fit_camera"]

_TOLERANCE = 1e-7
"""Share of the cost below which a step's gain ends the fit: a fraction of a pixel of framing."""
_ROLE_WEIGHT = {"Head": 1.5, "Neck": 1.0, "Hips": 1.5, "Foot": 0.7, "ToeBase": 0.7, "UpLeg": 0.7, "Hand": 0.4}
_OUTLINE_WEIGHT = np.array([0.5, 1.5, 0.5, 1.5, 0.5, 0.5]) / 5.0
"""Left, top, right, bottom, middle: heights frame a person, arms and tails should not."""


@dataclass(frozen=True)
class CameraFitConfig:
    """How a camera is re-fitted."""

    weights: FitWeights = field(default_factory=FitWeights)
    standing_foot: float = 4.0
    """How many times as much as another joint a foot counts while it stands: it must stay on its spot of the plate."""
    free_focal: bool = False
    """Let the focal length change too, by one factor for the whole shot."""
    steps: int = 40
    """How many steps are tried in each of the two rounds."""

    def __post_init__(self) -> None:
        check_options(self, standing_foot=(0, 1000), steps=(0, 10_000))


@dataclass(frozen=True)
class PointCameraFitter:
    """The fit on joints and a scatter of surface points; see `fit_camera`."""

    config: CameraFitConfig = field(default_factory=CameraFitConfig)

    def build(self) -> CameraFitter:
        """The fitter, ready to use."""

        def fit(
            actor: Performance,
            understudy: Performance,
            camera: CameraPath,
            move: CameraMoveKind,
            world_scale: float | None = None,
            progress: Progress = silent,
        ) -> CameraFit:
            return fit_camera(actor, understudy, camera, move, self.config, progress, world_scale=world_scale)

        return fit


def fit_camera(
    actor: Performance,
    understudy: Performance,
    camera: CameraPath,
    move: CameraMoveKind,
    config: CameraFitConfig | None = None,
    progress: Progress = silent,
    start: CameraPath | None = None,
    world_scale: float | None = None,
) -> CameraFit:
    """Find the camera under which `understudy` fills the frame as `actor` does under `camera`.

    Both move in one world, in metres, with the ground at y = 0; the understudy's path may be the actor's at another
    scale, as retargeting makes it: `world_scale` about the origin, or, where that is unknown, what fits both bodies
    best. The search begins at `start`, or at the camera brought to that scale. Laws: the same
    body keeps its camera; a world that is larger as a whole gets its camera at as much larger positions; a "static"
    camera stays static and a "rotation" one keeps its one place.

    Raises:
        ValueError: the motions and the camera differ in length, or the bodies share too few parts.
    """
    config = config or CameraFitConfig()
    if not len(actor.motion) == len(understudy.motion) == len(camera):
        raise ValueError(
            f"the actor moves for {len(actor.motion)} frames, the understudy for {len(understudy.motion)}, "
            f"the camera for {len(camera)}"
        )
    roles = common_roles(actor.character, understudy.character)
    actor_body, body = body_proxy(actor, roles), body_proxy(understudy, roles)
    scale, shift_m = _world_scale(actor_body, body) if world_scale is None else (world_scale, np.zeros(3))
    source = _view(camera, actor_body)
    height_px = _actor_height(picture_of(actor_body, source, None), camera.height)
    target = picture_of(actor_body, source, height_px)
    contact = foot_contact(actor_body, float(camera.frame_rate))
    base = replace(
        source,
        position=source.position * scale + shift_m,
        near_m=source.near_m * scale,
        distance_m=source.distance_m * scale,
    )
    seen = _in_picture(target.points_px, camera)
    point_weight = _point_weights(roles, contact, config.standing_foot) * seen * target.points_seen
    problem = FitProblem(
        body=body,
        base=base,
        target=target,
        height_px=height_px,
        point_weight=point_weight,
        outline_weight=_OUTLINE_WEIGHT * _outline_seen(target, camera),
        frame_rate=float(camera.frame_rate),
        weights=config.weights,
    )
    offsets, iterations = _solved(problem, move, config, progress, start)

    def framing(view: FitCamera) -> Framing:
        return measured_framing(picture_of(body, view, height_px), target, height_px, contact)

    view = problem.view(offsets)
    return CameraFit(
        camera=_camera(camera, view),
        before=framing(replace(source, near_m=base.near_m)),
        scaled=framing(base),
        after=framing(view),
        world_scale=scale,
        iterations=iterations,
    )


def _solved(
    problem: FitProblem, move: CameraMoveKind, config: CameraFitConfig, progress: Progress, start: CameraPath | None
) -> tuple[Offsets, int]:
    """First one offset for the whole shot, then what the kind of move allows."""
    focal = ("log_focal",) if config.free_focal else ()
    offsets = Offsets.none(len(problem.height_px)) if start is None else _common_offsets(problem, start)
    total = 2 * config.steps
    offsets, first = _descended(
        problem, offsets, (), ("turn", "shift", *focal), config.steps, lambda n: progress(n, total)
    )
    if move == "static":
        progress(total, total)
        return offsets, first
    own, common = (("turn",), ("shift",)) if move == "rotation" else (("turn", "shift"), ())
    offsets, second = _descended(
        problem, offsets, own, (*common, *focal), config.steps, lambda n: progress(config.steps + n, total)
    )
    progress(total, total)
    return offsets, first + second


def _descended(
    problem: FitProblem,
    offsets: Offsets,
    own: tuple[str, ...],
    common: tuple[str, ...],
    steps: int,
    tell: Callable[[int], None],
) -> tuple[Offsets, int]:
    """The best offsets, where `own` blocks may change in every frame and `common` ones alike in all; and the steps."""
    unknowns = Unknowns(
        frames=len(problem.height_px),
        per_frame={name: UNKNOWNS[name] for name in own},
        shared={name: UNKNOWNS[name] for name in common},
        held={name: size for name, size in UNKNOWNS.items() if name not in own + common},
    )
    rule = LevenbergMarquardt(steps, _TOLERANCE)
    found = minimise(unknowns, offsets, problem.residuals, Offsets.moved, rule, lambda done, total: tell(done))
    return found.state, found.steps


def _common_offsets(problem: FitProblem, start: CameraPath) -> Offsets:
    """The one offset that is nearest to a camera."""
    base = problem.base
    turns = vector_from_matrix(np.swapaxes(base.R_world_camera, 1, 2) @ start.T_world_camera[:, :3, :3])
    shift = ((start.position - base.position) / base.distance_m).mean(0)
    time = len(turns)
    R = matrix_from_vector(turns.mean(0))
    return Offsets(np.tile(R, (time, 1, 1)), np.tile(shift, (time, 1)), np.zeros(time))


def _world_scale(actor: BodyProxy, understudy: BodyProxy) -> tuple[float, Float[np.ndarray, "3"]]:
    """The scale, and the shift along the ground, that bring the actor nearest to the understudy."""
    a, b = (np.concatenate([body.joints, body.soles], 1).reshape(-1, 3) for body in (actor, understudy))
    level = np.array([1.0, 0.0, 1.0])
    a_middle, b_middle = a.mean(0) * level, b.mean(0) * level
    scale = float(((a - a_middle) * (b - b_middle)).sum() / ((a - a_middle) ** 2).sum())
    return scale, b_middle - scale * a_middle


def _view(camera: CameraPath, body: BodyProxy) -> FitCamera:
    """A camera as the fit sees it; its distance is that to the body's middle, over the shot."""
    K = camera.K
    depth = np.einsum("ti,ti->t", body.joints.mean(1) - camera.position, camera.T_world_camera[:, :3, 2])
    ahead = depth[depth > 0]
    distance_m = float(np.median(ahead)) if len(ahead) else 1.0
    return FitCamera(
        R_world_camera=camera.T_world_camera[:, :3, :3],
        position=camera.position,
        focal_px=np.stack([K[:, 0, 0], K[:, 1, 1]], 1),
        centre_px=K[:, :2, 2],
        near_m=0.05 * distance_m,
        distance_m=distance_m,
    )


def _camera(camera: CameraPath, view: FitCamera) -> CameraPath:
    K = camera.K.copy()
    K[:, 0, 0], K[:, 1, 1] = view.focal_px[:, 0], view.focal_px[:, 1]
    return replace(camera, T_world_camera=transform_from(view.R_world_camera, view.position), K=K)


def _actor_height(target: Picture, picture_height: int) -> Float[np.ndarray, " time"]:
    """The actor's height in pixels; where part of the actor is behind the camera, twice the picture's."""
    height = target.box_px[:, 3] - target.box_px[:, 1]
    return np.where(target.outline_seen > 0, np.maximum(height, 0.02 * picture_height), 2.0 * picture_height)


def _in_picture(points_px: Float[np.ndarray, "*batch 2"], camera: CameraPath) -> Float[np.ndarray, "*batch"]:
    """1 inside the picture, falling to 0.1 over a tenth of its diagonal outside: nobody sees what is out of frame."""
    size = np.array([camera.width, camera.height], np.float64)
    outside = np.linalg.norm(np.maximum(np.maximum(-points_px, points_px - size), 0.0), axis=-1)
    return 0.1 + 0.9 * np.exp(-((outside / (0.1 * np.hypot(*size))) ** 2))


def _outline_seen(target: Picture, camera: CameraPath) -> Float[np.ndarray, "time 6"]:
    """How much each part of the actor's outline is in the picture; 0 where part of the actor is behind the camera."""
    left, top, right, bottom, x, y = target.outline_px.T
    places = np.stack([left, y, x, top, right, y, x, bottom, x, y], -1).reshape(len(x), 5, 2)
    seen = _in_picture(places, camera)[:, [0, 1, 2, 3, 4, 4]]
    return seen * target.outline_seen[:, None]


def _point_weights(
    roles: list[str], contact: Float[np.ndarray, "time 2"], standing_foot: float
) -> Float[np.ndarray, "time point"]:
    """Of the joints and the two soles: heads and hips count more than hands, feet that stand most; they sum to one."""
    plain = np.array([_ROLE_WEIGHT.get(name.removeprefix("Left").removeprefix("Right"), 0.5) for name in roles])
    weight = np.concatenate([np.tile(plain / plain.sum(), (len(contact), 1)), standing_foot * contact / len(roles)], 1)
    return weight / (1 + standing_foot * 2 / len(roles))
