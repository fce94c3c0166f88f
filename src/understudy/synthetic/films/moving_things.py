"""Shots of an actor and one thing that moves by itself, with the truth about both: what a clean plate must leave alone.

The actor walks across a courtyard in the sun. Meanwhile a bird walks, a ball bounces, a car drives or a flag waves near
by, or the shadow of a cloud passes over everything.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.camera import CameraMoveKind, CameraPath, UnscaledCameraPath
from understudy.core.camera_moves import CameraMoveName
from understudy.core.character import Character, Material, Mesh
from understudy.core.film import Performance, Take
from understudy.core.footage import CameraSolution
from understudy.core.motion import Motion, Skeleton
from understudy.geometry.projection import unproject
from understudy.geometry.rigid import transform
from understudy.geometry.rotations import quaternion_from_vector
from understudy.geometry.vectors import smooth_step
from understudy.render.backends.opengl import OpenGL
from understudy.render.protocol import Renderer
from understudy.synthetic.films.building import Builder
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.lens import developed
from understudy.synthetic.films.shots import SyntheticScene, SyntheticShotConfig, set_up
from understudy.synthetic.people.motions import Action

__all__ = ["MOVES", "THINGS", "Moment", "PlateFigures", "ThingName", "ThingShot", "figures", "rough"]

ThingName = Literal["bird", "ball", "car", "flag", "cloud"]
THINGS: tuple[ThingName, ...] = get_args(ThingName)
MOVES: dict[CameraMoveKind, CameraMoveName] = {"static": "static", "rotation": "pan", "parallax": "truck"}
"""A camera move for each way in which plates are made."""
ALTERED_LEVELS = 8
"""By how many 8-bit levels a pixel must change to be altered: fresh grain stays below."""
SEEN_LEVELS = 4.0
"""By how many 8-bit levels a pixel must change for a thing or the actor to be seen there."""


@dataclass(frozen=True)
class Moment:
    """One frame, and the truth about it."""

    picture: UInt8[np.ndarray, "height width 3"]
    clean: UInt8[np.ndarray, "height width 3"]
    """The set with the thing, without the actor; without grain."""
    mask: UInt8[np.ndarray, "height width"]
    """Coverage of the actor."""
    thing: Bool[np.ndarray, "height width"]
    """Where the thing or its shadow is seen."""
    actor: Bool[np.ndarray, "height width"]
    """Where the actor, or the actor's shadow or reflection is seen."""


class ThingShot:
    """A shot of the actor and a thing."""

    def __init__(
        self, thing: ThingName, move: CameraMoveKind, width: int = 480, height: int = 270, frames: int = 36,
        frame_rate: int = 15, seed: int = 0, grain: float = 0.006,
    ) -> None:  # fmt: skip
        action = Action("walk", start_m=(-1.15, 0.0), heading_rad=0.5 * np.pi, speed_m_s=2.3 * frame_rate / frames)
        self.config = SyntheticShotConfig(
            width=width, height=height, frames=frames, frame_rate=Fraction(frame_rate), action=action, grain=grain,
            camera=CameraMove(MOVES[move], distance_m=5.5), actor="woman", seed=seed,
        )  # fmt: skip
        self.thing = thing
        self.move: CameraMoveKind = move
        self.scene: SyntheticScene = set_up(self.config)
        self._performance = None if thing == "cloud" else _PERFORMANCES[thing](frames, Fraction(frame_rate))

    @property
    def camera(self) -> CameraPath:
        """The true camera."""
        return self.scene.camera

    def moments(self) -> Iterator[Moment]:
        """Every frame, in order."""
        scene = self.scene
        things = () if self._performance is None else (self._performance,)
        takes = [
            Take((scene.scenery, *who), scene.camera, scene.light)
            for who in ((*things, scene.person), (scene.person,), things)
        ]
        with ExitStack() as stack:
            # One renderer each, so that what stands still stays on the device.
            renderers = [stack.enter_context(OpenGL(shadow_map_px=1024, ground_shadow=False).build()) for _ in takes]
            for frame in range(self.config.frames):
                yield self._moment(renderers, takes, frame)

    def _moment(self, renderers: list[Renderer], takes: list[Take], frame: int) -> Moment:
        config = self.config
        whole = renderers[0](takes[0], frame)
        passes = [whole, *(renderer(take, frame) for renderer, take in zip(renderers[1:], takes[1:], strict=True))]
        lights = [p.colour for p in passes]
        if self.thing == "cloud":
            shades = [self._cloud(p.depth_m, frame)[..., None] for p in (whole, passes[2])]
            lights[0], lights[2] = lights[0] * shades[0], lights[2] * shades[1]
        still = np.zeros((config.height, config.width, 1))
        both, actor_alone, thing_alone = (developed(light, still).astype(np.float32) for light in lights)
        mask = whole.matte(len(takes[0].performances))
        grain = np.random.default_rng([config.seed, 11, frame]).normal(0, config.grain, still.shape)
        return Moment(
            developed(lights[0], grain),
            thing_alone.astype(np.uint8),
            (mask * 255 + 0.5).astype(np.uint8),
            (np.abs(both - actor_alone).max(-1) > SEEN_LEVELS) & (mask < 0.02),
            (np.abs(both - thing_alone).max(-1) > SEEN_LEVELS) | (mask > 0.02),
        )

    def _cloud(self, depth_m: Float[np.ndarray, "height width"], frame: int) -> Float[np.ndarray, "height width"]:
        """How much light a cloud leaves to the point that each pixel shows."""
        camera, config = self.scene.camera, self.config
        columns, rows = np.meshgrid(np.arange(config.width) + 0.5, np.arange(config.height) + 0.5)
        depth = np.where(np.isfinite(depth_m), depth_m, 100.0)
        points = transform(
            camera.T_world_camera[frame], unproject(camera.K[frame], np.stack([columns, rows], -1), depth)
        )
        to_key = self.scene.light.key_direction
        place = points[..., 0] - points[..., 1] * to_key[0] / to_key[1]
        edge = -3.0 + 5.0 * (frame + 0.5) / config.frames
        # A band 1.6 m wide with an edge as soft as thin clouds have it.
        inside = smooth_step(0.5 + (0.8 - np.abs(place - edge)) / 0.3)
        return (1 - 0.45 * inside).astype(np.float32)

    def solution(self) -> CameraSolution:
        """The true camera, as if it had been solved, with points of the set."""
        camera, rng = self.camera, np.random.default_rng(5)
        points = np.zeros((0, 3))
        if self.move == "parallax":
            empty = Take((self.scene.scenery,), camera, self.scene.light)
            with OpenGL(ground_shadow=False).build() as renderer:
                found = []
                for frame in np.linspace(0, len(camera) - 1, 3).round().astype(int).tolist():
                    depth = renderer(empty, frame).depth_m
                    x, y = rng.integers(0, self.config.width, 400), rng.integers(0, self.config.height, 400)
                    local = unproject(camera.K[frame], np.stack([x, y], -1) + 0.5, depth[y, x])
                    found.append(transform(camera.T_world_camera[frame], local[np.isfinite(local).all(1)]))
            points = np.concatenate(found)
        return CameraSolution(UnscaledCameraPath.of(camera), self.move, points, np.zeros(len(camera)))


@dataclass(frozen=True)
class PlateFigures:
    """How a clean plate treated the actor and the thing."""

    thing_altered_percent: float
    """Share of the thing's visible pixels (not those that the actor shades) that are not the source's any more."""
    worst_frame_percent: float
    """The same in the frame in which it is largest, among those that show much of the thing."""
    actor_db: float
    """PSNR to the truth where the actor and the actor's shadow were."""
    shadow_db: float
    """The same where the actor's shadow alone was."""


def figures(moments: Sequence[Moment], plate: Sequence[UInt8[np.ndarray, "height width 3"]]) -> PlateFigures:
    """Compare a plate with the truth."""
    altered, counted, errors, shadow_errors = [], [], [], []
    for moment, picture in zip(moments, plate, strict=True):
        own = moment.thing & ~moment.actor
        changed = np.abs(picture.astype(int) - moment.picture).max(-1) > ALTERED_LEVELS
        altered.append(np.count_nonzero(own & changed))
        counted.append(np.count_nonzero(own))
        error = ((picture.astype(float) - moment.clean) ** 2).mean(-1)
        errors.append(error[moment.actor])
        shadow_errors.append(error[moment.actor & (moment.mask == 0)])
    shares = np.array(altered) / np.maximum(counted, 1)
    much = np.array(counted) > 0.3 * max(counted)
    return PlateFigures(
        100 * sum(altered) / max(sum(counted), 1), 100 * float(shares[much].max()),
        *(float(10 * np.log10(255.0**2 / np.concatenate(e).mean())) for e in (errors, shadow_errors)),
    )  # fmt: skip


def rough(mask: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """A mask as rough as a landmark network gives it."""
    return cv2.GaussianBlur(mask, (0, 0), 0.008 * mask.shape[0])


def _bird(frames: int, rate: Fraction) -> Performance:
    """A parrot as high as a knee that walks behind the actor, through the actor's shadow, and nods."""
    b = Builder()
    green, red, dark, legs = (
        b.material(Material(base_colour=(*colour, 1.0), roughness=0.9))
        for colour in ((0.10, 0.35, 0.06), (0.6, 0.05, 0.03), (0.03, 0.035, 0.045), (0.25, 0.2, 0.12))
    )
    for x in (-0.03, 0.05):
        b.box((x, 0.0, -0.01), (0.025, 0.12, 0.025), legs)
    b.cylinder((0.0, 0.1, 0.0), (0.04, 0.10, 0.115, 0.10, 0.07), 0.26, green)
    b.cylinder((0.05, 0.34, 0.0), (0.06, 0.075, 0.05), 0.13, red)
    b.box((-0.3, 0.1, -0.04), (0.24, 0.07, 0.08), dark)
    s = np.arange(frames) / max(frames - 1, 1)
    place = np.stack([1.25 - 2.1 * s, 0.012 * np.abs(np.sin(19 * s)), np.full(frames, -0.75)], 1)
    return _moving(b.build("bird"), place, np.full(frames, np.pi), rate)


def _ball(frames: int, rate: Fraction) -> Performance:
    """A ball that bounces before the actor's legs."""
    b = Builder()
    white, blue = (
        b.material(Material(base_colour=(*colour, 1.0), roughness=0.6))
        for colour in ((0.8, 0.8, 0.78), (0.05, 0.12, 0.5))
    )
    angle = np.linspace(0.12, np.pi - 0.12, 6)
    for low, colour in ((0, white), (1, blue), (2, white), (3, blue), (4, white)):
        heights = 0.13 * (1 - np.cos(angle))
        b.cylinder(
            (0, heights[low], 0), tuple(0.13 * np.sin(angle[low : low + 2])), heights[low + 1] - heights[low], colour,
            lid=low == 4,
        )  # fmt: skip
    s = np.arange(frames) / max(frames - 1, 1)
    place = np.stack([1.2 - 2.4 * s, 0.55 * np.abs(np.sin(3.3 * np.pi * s + 0.6)), np.full(frames, 0.55)], 1)
    return _moving(b.build("ball"), place, np.zeros(frames), rate)


def _car(frames: int, rate: Fraction) -> Performance:
    """A small car that drives by behind the actor."""
    b = Builder()
    paint, glass, tyre = (
        b.material(Material(base_colour=(*colour, 1.0), roughness=rough))
        for colour, rough in (((0.45, 0.06, 0.05), 0.5), ((0.05, 0.06, 0.08), 0.3), ((0.02, 0.02, 0.02), 0.9))
    )
    b.box((-1.25, 0.22, -0.55), (2.5, 0.5, 1.1), paint)
    b.box((-0.75, 0.72, -0.5), (1.3, 0.42, 1.0), glass)
    b.box((-0.7, 1.14, -0.5), (1.2, 0.06, 1.0), paint)
    for x in (-1.0, 0.55):
        b.box((x, 0.0, 0.35), (0.45, 0.4, 0.22), tyre)
        b.box((x, 0.0, -0.57), (0.45, 0.4, 0.22), tyre)
    s = np.arange(frames) / max(frames - 1, 1)
    place = np.stack([-3.4 + 5.6 * s, np.zeros(frames), np.full(frames, -2.3)], 1)
    return _moving(b.build("car"), place, np.zeros(frames), rate)


def _flag(frames: int, rate: Fraction) -> Performance:
    """A striped flag on a pole behind the actor's way, which waves."""
    joints, high, low, length = 9, 1.95, 1.15, 1.1
    x = np.linspace(0, length, joints)
    vertices = np.concatenate([np.stack([x, np.full(joints, y), np.zeros(joints)], 1) for y in (low, high)])
    before = np.arange(joints - 1)
    faces = np.concatenate(
        [
            np.stack([before, before + 1, before + 1 + joints], 1),
            np.stack([before, before + 1 + joints, before + joints], 1),
        ]
    )
    stripes = (Material(base_colour=(0.65, 0.08, 0.06, 1.0), double_sided=True), Material(double_sided=True))
    mesh = Mesh(
        vertices, faces, np.tile([0.0, 0.0, 1.0], (2 * joints, 1)), np.zeros((2 * joints, 2)),
        np.tile(before % 2, 2), stripes,
    )  # fmt: skip
    T = np.tile(np.eye(4), (joints, 1, 1))
    T[1:, 0, 3] = x[1]
    skeleton = Skeleton(tuple(f"cloth {j}" for j in range(joints)), (-1, *range(joints - 1)), T)
    T_joint_mesh = np.tile(np.eye(4), (joints, 1, 1))
    T_joint_mesh[:, 0, 3] = -x
    skin = np.tile(np.arange(joints), 2)[:, None]
    cloth = Character("flag", mesh, skeleton, T_joint_mesh, skin, np.ones((2 * joints, 1)))
    time_s = np.arange(frames)[:, None] / float(rate)
    turn = 0.5 * np.sin(7.0 * time_s - 0.9 * np.arange(joints)) * np.minimum(np.arange(joints), 2) / 2
    q = quaternion_from_vector(turn[..., None] * np.array([0.0, 1.0, 0.0]))
    root = np.tile([-0.35, 0.0, -1.1], (frames, 1))
    return Performance(cloth, Motion(skeleton, q, root, rate))


def _moving(character: Character, place_m: np.ndarray, turn_rad: np.ndarray, rate: Fraction) -> Performance:
    """A rigid character on its way, turned about the vertical."""
    q = quaternion_from_vector(turn_rad[:, None, None] * np.array([0.0, 1.0, 0.0]))
    return Performance(character, Motion(character.skeleton, q, place_m, rate))


_PERFORMANCES: dict[ThingName, Callable[[int, Fraction], Performance]] = {
    "bird": _bird, "ball": _ball, "car": _car, "flag": _flag,
}  # fmt: skip
