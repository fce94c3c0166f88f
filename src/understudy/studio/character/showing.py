"""A character shown: its turntable, its views from four sides, its joints, its poses."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter1d

from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.geometry.projection import project
from understudy.geometry.rigid import transform
from understudy.render.posing import Poser
from understudy.render.renderers import RendererConfig
from understudy.studio.character.filming import FRAME_RATE, View, film, framing_camera
from understudy.studio.character.moving import POSES, joined, pose, turning, walking

__all__ = ["SIDES", "following_camera", "joints_drawn", "poses", "sides", "static_camera", "turntable"]

SIDES = {"front": 0.0, "three-quarter": 40.0, "side": 90.0, "back": 180.0}
"""How far the character is turned away from the camera, in degrees."""
TURN_S, WALK_S = 4.0, 2.5
"""Of the turntable: how long the turn takes, and the walk after it."""
WALK_HEADING_RAD = np.radians(35.0)
"""Aside from the camera, so that both legs and arms are seen."""
SQUARE, STILL = View(), View(width=480, height=640)
"""Of the turntable, and of the pictures."""
FOLLOW_S = 0.5
"""How long a following camera takes to react."""
SAMPLES = 24
"""Frames in which it is looked at how far a motion reaches."""


def turntable(character: Character, view: View | None = None) -> tuple[Performance, CameraPath]:
    """The rest pose, turned once, then a short walk that the camera follows."""
    view = view or SQUARE
    turn = turning(character, np.linspace(0, 2 * np.pi, round(TURN_S * FRAME_RATE)), FRAME_RATE)
    walk = walking(character, round(WALK_S * FRAME_RATE), FRAME_RATE, WALK_HEADING_RAD)
    first = static_camera(Performance(character, turn), view)
    second = following_camera(Performance(character, walk), view)
    camera = replace(
        first,
        T_world_camera=np.concatenate([first.T_world_camera, second.T_world_camera]),
        K=np.concatenate([first.K, second.K]),
    )
    return Performance(character, joined(turn, walk)), camera


def static_camera(performance: Performance, view: View) -> CameraPath:
    """A camera that stands, with the whole performance in its picture."""
    points = _outermost(performance)
    low, high = points.min((0, 1)), points.max((0, 1))
    time = len(performance.motion)
    centre = np.tile(0.5 * (low + high), (time, 1))
    return framing_camera(np.tile(points.reshape(1, -1, 3), (time, 1, 1)), centre, view, performance.motion.frame_rate)


def following_camera(performance: Performance, view: View) -> CameraPath:
    """A camera that goes along with the hips at a constant height, with the figure in its picture in every frame."""
    motion = performance.motion
    path = motion.T_world_joint()[:, performance.character.roles.get("Hips", 0), :3, 3]
    path = gaussian_filter1d(path, FOLLOW_S * float(motion.frame_rate), axis=0, mode="nearest")
    points = _outermost(performance)
    path[:, 1] = 0.5 * (points[..., 1].min() + points[..., 1].max())
    around = (points - path[_samples(len(motion))][:, None]).reshape(-1, 3)
    return framing_camera(path[:, None] + around, path, view, motion.frame_rate)


def _samples(frames: int) -> np.ndarray:
    return np.unique(np.linspace(0, frames - 1, min(frames, SAMPLES)).round().astype(int))


def _outermost(performance: Performance) -> Float[np.ndarray, "sample 26 3"]:
    """The posed mesh's vertices that reach furthest in 26 directions, in frames spread over the motion."""
    poser = Poser(performance.character)
    directions = np.array([way for way in product((-1, 0, 1), repeat=3) if any(way)], np.float64).T
    posed = (poser(performance, frame).vertices for frame in _samples(len(performance.motion)).tolist())
    return np.stack([vertices[(vertices @ directions).argmax(0)] for vertices in posed])


def sides(character: Character, renderer: RendererConfig) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The rest pose from each of SIDES, all under one camera and in one light: the figure is turned."""
    turned = Performance(character, turning(character, -np.radians(list(SIDES.values())), FRAME_RATE))
    yield from film(turned, static_camera(turned, STILL), renderer)


def poses(character: Character, renderer: RendererConfig) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Each of POSES, seen a little from the side."""
    for kind, at_s in POSES.values():
        performance = Performance(character, pose(character, kind, at_s))
        yield from film(performance, static_camera(performance, replace(STILL, azimuth_rad=np.radians(25.0))), renderer)


def joints_drawn(character: Character, renderer: RendererConfig) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The rest pose from the front and from the side, with its joints and bones over it."""
    turned = Performance(character, turning(character, -np.radians([0.0, 90.0]), Fraction(1)))
    camera = static_camera(turned, STILL)
    named = set(character.roles.values())
    for frame, picture in enumerate(film(turned, camera, renderer)):
        points = project(camera.K[frame], transform(camera.T_camera_world[frame], turned.joints_m()[frame]))
        drawn = (0.55 * picture + 0.45 * 128).astype(np.uint8)
        places = [(round(float(x)), round(float(y))) for x, y in points]
        for joint, parent in enumerate(character.skeleton.parents):
            if parent >= 0:
                cv2.line(drawn, places[parent], places[joint], (245, 200, 90), 2, cv2.LINE_AA)
        for joint, place in enumerate(places):
            colour = (235, 90, 70) if joint in named else (130, 170, 230)
            cv2.circle(drawn, place, 4 if joint in named else 3, colour, -1, cv2.LINE_AA)
        yield drawn
