"""Whether the figure in a picture can be rigged: whole, upright, on two legs; and what is doubtful about it."""

import cv2
import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from understudy.characters.picture.joints import POINTS, FigureJoints
from understudy.characters.protocol import Detection
from understudy.core.character import Doubt
from understudy.runtime.errors import CharacterError

__all__ = ["check_placed", "check_posture", "doubts_about"]

ROWS = 160
"""Silhouettes are looked at with about this many rows."""
LYING_RATIO = 1.9
"""How many times as long as high the thickest part of a body on four legs is (four-legged: 2.7 and more, people,
robots and drawings: up to 1.3)."""
LYING_SLOPE_RAD = np.radians(35.0)
TRUNK_SHARE = 0.65
"""A bust shows less of the way from shoulders to hips (busts: 0.2 to 0.62, figures cut at the waist: 0.7 to 1.4)."""
SAME_BODY = 0.6
"""A landmark model's body that overlaps the cut-out so far (intersection over union) is the figure."""
CUT_RUN = 0.5
"""A figure is cut off by the picture's lower edge when it lies on it over this share of its width."""
HIGHEST_TRUNK = 0.28
"""How far below the top it lies, in heights: above that it is a broad head (four-legged: 0.34 to 0.5)."""
FOOTPRINT = 0.48
"""How far apart its outer feet stand, in heights (four-legged: 0.56 and more, a robot with a broad head: 0.4)."""
GOWN_WIDTH = 0.28
"""In heights; legs of all other figures are narrower, or show apart (a bear that walks towards us: 0.25)."""
FAR_OFF, MAX_NAMED = 0.05, 3
"""Joints that may be this far off, in heights, are named; at most so many."""
ON_FIGURE = 0.5
"""Share of joints by hand that must lie on the figure, or nearly; those of legs below the picture do not."""


def check_posture(
    name: str, figure: Bool[np.ndarray, "height width"], first: Detection | None, joints: FigureJoints | None
) -> None:
    """Refuse figures whose joints were not placed by hand and that our body of two arms and two legs does not fit.

    Args:
        name: of the picture, for the message.
        figure: the cut-out.
        first: what the landmark model sees in the whole picture.
        joints: the best that were found.

    Raises:
        CharacterError: a bust, a figure on four legs or lying, one cut off where nothing is sure, or none at all.
    """
    is_seen = joints is not None and not joints.guessed
    is_cut = _is_cut_off(figure)
    lies = _lies(figure)
    if is_cut and (_trunk_share(figure, first) < TRUNK_SHARE or (lies and not is_seen)):
        raise CharacterError(
            f"{name} shows a head and shoulders; give a picture of the whole figure, its joints by hand (--joints), or"
            " a rig"
        )
    if lies and not (is_seen and joints is not None and joints.sure):
        raise CharacterError(
            f"the figure in {name} stands on four legs, or lies; give a figure that stands upright on two, its joints"
            " by hand (--joints), or a rig"
        )
    if is_cut and not is_seen:
        raise CharacterError(
            f"the figure in {name} is cut off by the picture's lower edge, and its joints were not found; give a"
            " picture of the whole figure, or its joints by hand (--joints)"
        )
    if joints is None:
        raise CharacterError(
            f"no body was found in {name}: give a joints file that says where shoulders, elbows, … are (--joints)"
        )


def check_placed(name: str, figure: Bool[np.ndarray, "height width"], joints: FigureJoints) -> None:
    """Refuse joints by hand that belong to another picture.

    Raises:
        CharacterError: most lie beside the figure.
    """
    height, width = figure.shape
    reach = max(1, round(0.02 * height))
    near = cv2.dilate(figure.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    x, y = np.floor(np.clip(joints.points_px, -1, 1e6)).astype(int).T
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    on = int(near[y[within], x[within]].sum())
    if on < ON_FIGURE * len(POINTS):
        raise CharacterError(
            f"{on} of {len(POINTS)} joints lie on the figure in {name}; give them in pixels of this very picture"
        )


def doubts_about(
    figure: Bool[np.ndarray, "height width"], joints: FigureJoints, legs_made_up: bool, by_hand: bool
) -> tuple[Doubt, ...]:
    """What a film maker should look at before believing in the character; nothing for an ordinary figure."""
    doubts = []
    if not by_hand and not joints.sure:
        what = "were guessed from its outline" if joints.guessed else "are not sure"
        which = _least_sure(figure, joints)
        doubts.append(Doubt(f"Its joints {what}{which}: see how it moves, or place them by hand (--joints)."))
    if legs_made_up:
        knees = max(joints["left_knee"][1], joints["right_knee"][1])
        level = "poor" if knees > len(figure) else "fair"
        doubts.append(
            Doubt("Its legs were made up below the picture's edge; give a picture of the whole figure.", level)
        )
    elif _is_cut_off(figure):
        doubts.append(Doubt("The picture's lower edge cuts it off: its feet may lie too high."))
    elif not by_hand and _hides_legs(figure):
        doubts.append(Doubt("Its legs do not show apart, as in a gown: where they are, was guessed.", "poor"))
    return tuple(doubts)


def _least_sure(figure: Bool[np.ndarray, "height width"], joints: FigureJoints) -> str:
    """The names of a few joints that may be far off, in brackets; nothing where there are none."""
    if joints.doubt_px is None:
        return ""
    share = joints.doubt_px / (np.ptp(np.flatnonzero(figure.any(1))) + 1)
    worst = [POINTS[index].replace("_", " ") for index in np.argsort(-share) if share[index] > FAR_OFF]
    return f", least of all {', '.join(worst[:MAX_NAMED])}" if worst else ""


def _is_cut_off(figure: Bool[np.ndarray, "height width"]) -> bool:
    wide = np.ptp(np.flatnonzero(figure.any(0))) + 1
    return bool(figure[-2:].any(0).sum() > CUT_RUN * wide)


def _trunk_share(figure: Bool[np.ndarray, "height width"], first: Detection | None) -> float:
    """How much of the way from shoulders to hips lies above the cut-out's lower end; infinite where nobody is seen."""
    if first is None:
        return np.inf
    landmarks, _, _, coverage = first
    body = coverage > 0.5
    if (body & figure).sum() < SAME_BODY * max((body | figure).sum(), 1):
        return np.inf
    shoulders, hips = landmarks[[11, 12], 1].mean(), landmarks[[23, 24], 1].mean()
    bottom = np.flatnonzero(figure.any(1))[-1] + 1
    return float((bottom - shoulders) / (hips - shoulders)) if hips > shoulders else np.inf


def _lies(figure: Bool[np.ndarray, "height width"]) -> bool:
    """Whether the thickest part of the body, its trunk, is long and level, on feet far apart."""
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    crop = figure[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = ROWS / max(crop.shape)
    size = max(8, round(crop.shape[1] * scale)), max(8, round(crop.shape[0] * scale))
    small = cv2.resize(crop.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    depth = ndimage.distance_transform_edt(np.pad(small, 1))[1:-1, 1:-1]
    pieces, _ = ndimage.label(depth > 0.7 * depth.max())
    y, x = np.nonzero(pieces == pieces[np.unravel_index(depth.argmax(), depth.shape)])
    feet = np.flatnonzero(small[round(0.88 * len(small)) : round(0.97 * len(small))].any(0))
    if len(x) < 3 or not len(feet):
        return False
    variance, axes = np.linalg.eigh(np.cov(np.stack([x, y])))
    # Half a pixel of spread in each direction: a core of one row is not endlessly long.
    ratio = np.sqrt((variance[1] + 0.25) / (variance[0] + 0.25))
    across, down = np.abs(axes[:, 1])
    is_level = ratio > LYING_RATIO and down < across * np.tan(LYING_SLOPE_RAD)
    return bool(is_level and y.mean() > HIGHEST_TRUNK * len(small) and np.ptp(feet) > FOOTPRINT * len(small))


def _hides_legs(figure: Bool[np.ndarray, "height width"]) -> bool:
    """Whether the lowest quarter, but for the feet, is one broad piece in nearly every row."""
    rows = np.flatnonzero(figure.any(1))
    tall = rows[-1] + 1 - rows[0]
    broad = []
    for row in figure[rows[0] + round(0.72 * tall) : rows[0] + round(0.95 * tall)]:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        runs = runs[runs > 0.03 * tall]
        broad.append(float(runs[0]) if len(runs) == 1 else 0.0)
    return bool(np.quantile(broad, 0.1) > 0 and np.median(broad) > GOWN_WIDTH * tall)
