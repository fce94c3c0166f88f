"""Legs that the picture cuts off, carried on to the feet."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.characters.picture.joints import POINTS, FigureJoints

__all__ = ["complete_legs"]

LEG_SHARE = 1.25
"""A figure is cut off when it reaches the picture's lower edge less than this many trunk lengths below its hips
(people: 1.6, dwarfs and chibis: 1.1 and more, but their feet end before the edge)."""
THIGH, SHIN, FOOT = 0.82, 0.78, 0.13
"""In trunk lengths (neck to hips); from the segment lengths of Drillis and Contini 1966."""
CLOTH_LEVELS = 40
"""By how many 8-bit levels a row's median colour may differ from the lowest rows' and still be the same cloth."""


def complete_legs(
    rgb: UInt8[np.ndarray, "height width 3"], figure: Bool[np.ndarray, "height width"], joints: FigureJoints
) -> tuple[UInt8[np.ndarray, "longer width 3"], Bool[np.ndarray, "longer width"], FigureJoints]:
    """A figure cut off above its feet, with legs that taper on below the picture; others as they are.

    The cloth just above the cut is mirrored downwards, without the hem or belt that ends it. Without legs a cut figure
    would hover over the ground.
    """
    height = len(figure)
    trunk = float(np.linalg.norm(joints["neck"] - joints["hips"]))
    runs = _runs(figure[-1], max(4, round(0.15 * trunk)))
    if not runs or height - joints["hips"][1] > LEG_SHARE * trunk:
        return rgb, figure, joints
    middle = float(joints["hips"][0])
    if len(runs) == 1:
        cut = float(np.clip(middle, runs[0][0] + 0.35 * np.ptp(runs[0]), runs[0][1] - 0.35 * np.ptp(runs[0])))
        runs = [(runs[0][0], cut), (cut, runs[0][1])]
    right, left = runs[0], runs[-1]
    points = joints.points_px.copy()
    sole = joints["hips"][1] + (THIGH + SHIN + FOOT) * trunk
    longer = int(np.ceil(sole))
    if longer <= height:
        return rgb, figure, joints
    picture = cv2.copyMakeBorder(rgb, 0, longer - height, 0, 0, cv2.BORDER_REPLICATE)
    mask = np.pad(figure, ((0, longer - height), (0, 0)))
    for side, run in (("right", right), ("left", left)):
        hip = joints[f"{side}_hip"]
        ankle_y = hip[1] + (THIGH + SHIN) * trunk
        # A leg goes on in the direction in which it leaves the picture, but comes to stand below its hip.
        ankle = np.array([0.5 * hip[0] + 0.25 * (run[0] + run[1]), ankle_y])
        share = THIGH / (THIGH + SHIN)
        points[POINTS.index(f"{side}_knee")] = hip + share * (ankle - hip)
        points[POINTS.index(f"{side}_ankle")] = ankle
        points[POINTS.index(f"{side}_toe")] = ankle + np.array([0.0, 0.8 * FOOT * trunk])
        _draw_leg(picture, mask, height, run, ankle, FOOT * trunk)
    return picture, mask, FigureJoints(points, joints.face_px, joints.score)


def _runs(row: Bool[np.ndarray, " width"], min_px: int) -> list[tuple[float, float]]:
    """Where a row is inside the figure: starts and ends of its longer runs, at most the two longest."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    runs = [(float(a), float(b)) for a, b in edges.reshape(-1, 2) if b - a >= min_px]
    return sorted(sorted(runs, key=lambda run: run[0] - run[1])[:2])


def _cloth_rows(source: UInt8[np.ndarray, "height width 3"], run: tuple[float, float], max_rows: int) -> int:
    """How many of a run's lowest rows are of one cloth, at most `max_rows`: up to a jacket's hem or a belt."""
    rows = source[-max(max_rows, 2) :, int(run[0]) : int(run[1])]
    colours = np.median(rows.astype(np.float32), axis=1)[::-1]
    other = np.flatnonzero(np.abs(colours - np.median(colours[:3], axis=0)).max(-1) > CLOTH_LEVELS)
    # Without the last rows before the other cloth, where both are mixed.
    return max(int(other[0]) - 2 if len(other) else len(colours), 2)


def _draw_leg(
    picture: UInt8[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "height width"],
    cut: int,
    run: tuple[float, float],
    ankle: Float[np.ndarray, "2"],
    foot: float,
) -> None:
    """Add one leg below the row `cut` to picture and mask: the run narrows to the ankle and ends in a dark shoe."""
    wide, width = run[1] - run[0], picture.shape[1]
    source = picture[:cut].copy()
    reflected = _cloth_rows(source, run, round(0.35 * wide))
    for row in range(cut, picture.shape[0]):
        down = min((row - cut) / max(ankle[1] - cut, 1.0), 1.0)
        centre = (1 - down) * 0.5 * (run[0] + run[1]) + down * ankle[0]
        half = 0.5 * wide * (1 - 0.52 * down)
        if row > ankle[1]:
            half *= 1.0 + 0.25 * (row - ankle[1]) / foot
        columns = np.arange(max(0, int(centre - half)), min(width, int(np.ceil(centre + half))))
        mask[row, columns] = True
        place = (row - cut) % (2 * reflected)
        above = cut - 1 - min(place, 2 * reflected - 1 - place)
        across = run[0] + 0.06 * wide + 0.88 * wide * (columns + 0.5 - (centre - half)) / (2 * half)
        colour = source[above, np.clip(across.astype(int), 0, width - 1)].astype(np.float64)
        picture[row, columns] = np.round(colour * (0.35 if row > ankle[1] else 1.0))
