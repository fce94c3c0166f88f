"""A body model that walks, a camera that films it, and the landmarks that a network would see: all known exactly."""

from fractions import Fraction

import numpy as np

from understudy.body.model import BodyModel
from understudy.core.camera import CameraMoveKind, CameraPath, UnscaledCameraPath
from understudy.core.footage import CameraSolution, LandmarkTrack
from understudy.core.motion import BODY_JOINTS
from understudy.decompose.body.pose_state import JOINT, POINT, SOLES, BodyPoints, PoseState, place
from understudy.geometry.projection import intrinsics
from understudy.geometry.rigid import invert, transform
from understudy.geometry.rotations import look_at, matrix_from_vector, rotation_between

WIDTH, HEIGHT, FRAME_RATE = 1280, 720, 24


def body_points(height_m: float = 1.72) -> tuple[BodyPoints, np.ndarray]:
    """The points of a likely body of some height, and its shape."""
    model = BodyModel.load()
    return BodyPoints.of(model, 10), model.shape_for_height(height_m)[:10]


def walk(points: BodyPoints, shape: np.ndarray, time: int, speed: float = 1.1) -> PoseState:
    """A walk along +Z whose standing foot stays in place."""
    t = np.arange(time) / FRAME_RATE
    R = np.tile(np.eye(3), (time, len(BODY_JOINTS), 1, 1))
    offset, _ = points.offsets(shape)
    leg = -float(offset[JOINT["LeftLeg"], 1] + offset[JOINT["LeftFoot"], 1])
    stride = 0.55 * leg
    phase = np.pi * t * speed / stride
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        swing = 0.28 * sign * np.sin(phase)
        lift = 0.5 * np.clip(sign * np.cos(phase), 0.0, None)
        R[:, JOINT[f"{side}UpLeg"]] = turns(x=-swing - 0.5 * lift)
        R[:, JOINT[f"{side}Leg"]] = turns(x=lift)
        R[:, JOINT[f"{side}Foot"]] = turns(x=swing - 0.5 * lift)
        R[:, JOINT[f"{side}Arm"]] = turns(z=np.full(time, -1.25 * sign)) @ turns(y=0.5 * swing * sign)
        R[:, JOINT[f"{side}ForeArm"]] = turns(y=np.full(time, -0.4 * sign))
    R[:, JOINT["Neck"]] = turns(y=0.2 * np.sin(0.7 * t))
    pose = PoseState(np.zeros((time, 3)), R)
    # The lower foot carries the body: the root moves so that this foot does not.
    feet = place(points, pose, shape).points_m[:, [POINT[name] for name in SOLES]]
    step = np.zeros((time, 3))
    for frame in range(1, time):
        sole = int(feet[frame, :, 1].argmin())
        step[frame] = feet[frame - 1, sole] - feet[frame, sole]
    root = np.cumsum(step, 0) * [0.0, 0.0, 1.0]
    root[:, 1] = -feet[..., 1].min(1)
    return PoseState(root, R)


def turns(**angles: np.ndarray) -> np.ndarray:
    """Rotations about one axis, named x, y or z."""
    ((axis, angle),) = angles.items()
    return matrix_from_vector(np.asarray(angle)[:, None] * np.eye(3)["xyz".index(axis)])


def film(pose: PoseState, move: CameraMoveKind) -> CameraPath:
    """A camera in front of the walker, 1.5 m high."""
    time = len(pose)
    share = np.linspace(0.0, 1.0, time)[:, None]
    middle = pose.root_m.mean(0) * [1.0, 0.0, 1.0]
    position = np.tile(middle + np.array([1.5, 1.5, 5.5]), (time, 1))
    target = np.tile(middle + np.array([0.0, 0.95, 0.0]), (time, 1))
    if move != "static":
        target = pose.root_m * [1.0, 0.0, 1.0] + [0.0, 0.95, 0.0]
    if move == "parallax":
        position = position + share * np.array([1.5, 0.1, 1.0])
    K = np.tile(intrinsics(1150.0, WIDTH, HEIGHT), (time, 1, 1))
    return CameraPath(look_at(position, target), K, WIDTH, HEIGHT, Fraction(FRAME_RATE))


def see(
    points: BodyPoints, shape: np.ndarray, pose: PoseState, camera: CameraPath, noise: float, seed: int
) -> LandmarkTrack:
    """What a landmark network would see: with `noise` 1, as wrong as BlazePose."""
    rng = np.random.default_rng(seed)
    marks = place(points, pose, shape).points_m[:, :33]
    local = transform(invert(camera.T_world_camera), marks)
    px = local[..., :2] / local[..., 2:] * camera.K[:, None, [0, 1], [0, 1]] + camera.K[:, None, :2, 2]
    size_px = camera.K[:, 0, 0] * 1.7 / local[:, 23, 2]
    px = px + noise * 0.012 * size_px[:, None, None] * drifting(rng, px.shape)
    hips = 0.5 * (local[:, 23] + local[:, 24])
    R = rotation_between(np.array([0.0, 0.0, 1.0]), hips / np.linalg.norm(hips, axis=1, keepdims=True))
    guess = (local - hips[:, None]) @ R
    guess = guess + noise * np.array([0.02, 0.02, 0.12]) * drifting(rng, guess.shape)
    seen = np.ones(len(pose), bool)
    return LandmarkTrack(px, np.where(seen[:, None], 0.97, 0.0) * np.ones((1, 33)), guess, seen)


def drifting(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Unit noise of which a part lasts for many frames."""
    lasting = rng.normal(size=size)
    for t in range(1, len(lasting)):
        lasting[t] = 0.85 * lasting[t - 1] + np.sqrt(1 - 0.85**2) * lasting[t]
    return 0.8 * lasting + 0.6 * rng.normal(size=size)


UNIT = 0.4
"""Of the solution, in metres."""


def solve(camera: CameraPath, move: CameraMoveKind, unit: float = UNIT) -> CameraSolution:
    """The camera as the picture shows it: from its first frame, of another scale, with points of ground and wall."""
    rng = np.random.default_rng(0)
    T_first_world = invert(camera.T_world_camera[0])
    T = T_first_world @ camera.T_world_camera
    T[:, :3, 3] *= unit if move == "parallax" else 0.0
    points = np.zeros((0, 3))
    if move == "parallax":
        forward = camera.T_world_camera[0, :3, 2] * [1.0, 0.0, 1.0]
        centre = camera.position[0] * [1.0, 0.0, 1.0] + 6.0 * forward
        ground = centre + rng.uniform(-6.0, 6.0, (400, 3)) * [1.0, 0.0, 1.0]
        wall = centre + 8.0 * forward + rng.uniform(0.0, 4.0, (200, 1)) * [0.0, 1.0, 0.0]
        world = np.concatenate([ground, wall + np.cross(forward, [0.0, 1.0, 0.0]) * rng.uniform(-6, 6, (200, 1))])
        local = transform(T_first_world, world)
        local = local[local[:, 2] > 0.5]
        points = local * (1 + 0.005 * rng.normal(size=(len(local), 1))) * unit
    solved = UnscaledCameraPath(T, camera.K, camera.width, camera.height, camera.frame_rate)
    return CameraSolution(solved, move, points, np.zeros(len(camera)))
