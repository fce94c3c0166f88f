"""Hard cuts and fades through black: where one camera's picture ends and another's begins."""

from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.footage import Shot
from understudy.io.video.streams import read_frames
from understudy.runtime.checks import check_options
from understudy.runtime.progress import Progress, silent

__all__ = ["CutConfig", "find_cuts"]


@dataclass(frozen=True)
class CutConfig:
    """How sure a cut must be."""

    difference: float = 0.17
    """How much two pictures must differ, 0 … 1: the geometric mean of their colours' and their layouts' difference."""
    contrast: float = 2.2
    """How many times as much as at any neighbouring frame."""
    min_frames: int = 8
    """No shorter piece is cut off."""

    def __post_init__(self) -> None:
        check_options(self, difference=(0, 1), contrast=(1, 1000), min_frames=(2, 10_000))


_SIDE_PX = 96
_REACH = 3  # Frames looked at on either side: what differs for less than this is a flash.
_FLAT = 2.0  # Grey levels of spread below which a picture has no layout.
_BLACK = 12.0  # Grey levels up to which nearly all of a faded picture lies; noise and compression lift it from zero.
_FADE_S = 1.0  # Fades to and from black are rarely longer.
_BRIGHTER = 0.5  # Grey levels from frame to frame: less is no fade, but noise.


def find_cuts(shot: Shot, progress: Progress = silent, config: CutConfig | None = None) -> list[Shot]:
    """The pieces between hard cuts, in order; together they are the whole shot. [shot] if there is no cut.

    A cut is where every one of the three frames before differs from every one of the three after, much more than
    neighbouring frames do; so flashes, whip pans and fast action are none. Layouts are compared at their best shift
    and without regard to brightness. A fade is cut in the middle of its black, if the pictures on its two sides
    differ. Dissolves are not looked for.
    """
    config = config or CutConfig()
    steps, sure, brightest = np.zeros(len(shot)), np.zeros(len(shot)), np.zeros(len(shot))
    looks: deque[_Look] = deque(maxlen=2 * _REACH)
    for index, frame in enumerate(read_frames(shot, max_side_px=_SIDE_PX)):
        looks.append(_look(frame))
        brightest[index] = np.percentile(looks[-1].grey, 99)
        if index:
            steps[index] = _difference(looks[-2], looks[-1])
        _verify(index - _REACH + 1, index, steps, sure, looks, config)
        progress(index + 1, len(shot))
    for cut in range(max(1, len(shot) - _REACH + 1), len(shot)):
        _verify(cut, len(shot) - 1, steps, sure, looks, config)
    edges = [0, *_with_fades(shot, brightest, _chosen(steps, sure, config), config), len(shot)]
    if len(edges) == 2:
        return [shot]
    return [
        replace(shot, timestamps=shot.timestamps[start:stop], start_frame=shot.start_frame + start)
        for start, stop in pairwise(edges)
    ]


@dataclass(frozen=True)
class _Look:
    """What is compared of a frame."""

    grey: Float[np.ndarray, "height width"]
    colours: Float[np.ndarray, " bin"]


def _look(frame: UInt8[np.ndarray, "height width 3"]) -> _Look:
    grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), 1.0).astype(np.float32)
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)
    colours = cv2.calcHist([lab], [0, 1, 2], None, [8, 12, 12], [0, 256, 64, 192, 64, 192])
    # Neighbouring bins share, so that a slight change of light moves little.
    colours = cv2.GaussianBlur(colours.reshape(8, 144), (1, 3), 0).ravel()
    return _Look(grey, colours / max(float(colours.sum()), 1.0))


def _difference(a: _Look, b: _Look) -> float:
    """0 for equal pictures, 1 for unrelated ones."""
    colours = 1.0 - float(np.minimum(a.colours, b.colours).sum())
    layout = 1.0 - max(_best_match(a.grey, b.grey), _best_match(b.grey, a.grey), 0.0)
    return float(np.sqrt(max(colours, 0.0) * max(layout, 0.0)))


def _best_match(a: Float[np.ndarray, "height width"], b: Float[np.ndarray, "height width"]) -> float:
    """The best normalised correlation of a's middle with any place in b."""
    height, width = a.shape
    dy, dx = height // 6, width // 5
    middle = a[dy : height - dy, dx : width - dx]
    if middle.std() < _FLAT:
        return 1.0 - min(1.0, float(np.abs(a - b).mean()) / 30.0)
    return float(cv2.matchTemplate(b, middle, cv2.TM_CCOEFF_NORMED).max())


def _verify(cut: int, last: int, steps: np.ndarray, sure: np.ndarray, looks: deque[_Look], config: CutConfig) -> None:
    """Write into `sure` the least difference between the frames before and after `cut`; `looks` ends at `last`."""
    if cut < 1 or steps[cut] < config.difference:
        return
    split = len(looks) - (last - cut + 1)
    before, after = list(looks)[max(0, split - _REACH) : split], list(looks)[split:]
    sure[cut] = min(_difference(a, b) for a in before for b in after)


def _chosen(steps: np.ndarray, sure: np.ndarray, config: CutConfig) -> list[int]:
    """The cuts that stand out from their neighbours, strongest first where two are too close."""
    cuts: list[int] = []
    for cut in np.argsort(-sure, kind="stable"):
        if sure[cut] < config.difference:
            break
        near = np.r_[steps[max(1, cut - _REACH) : cut], steps[cut + 1 : cut + 1 + _REACH]]
        if steps[cut] < config.contrast * near.max(initial=0.0):
            continue
        edges = [0, *cuts, len(steps)]
        if min(abs(int(cut) - edge) for edge in edges) >= config.min_frames:
            cuts.append(int(cut))
    return sorted(cuts)


def _with_fades(shot: Shot, brightest: Float[np.ndarray, " frame"], cuts: list[int], config: CutConfig) -> list[int]:
    """The cuts, and the middles of black stretches between different pictures; there, no cut but the middle.

    Compared are the pictures where a fade begins and ends, as far as it grows brighter from frame to frame.
    """
    edges = np.flatnonzero(np.diff(np.r_[False, brightest <= _BLACK, False].astype(np.int8)))
    reach = max(1, round(_FADE_S * shot.frame_rate))
    for start, stop in edges.reshape(-1, 2).tolist():
        if start == 0 or stop == len(shot):
            continue
        before, after = start - 1, stop
        while before > max(0, start - reach) and brightest[before - 1] > brightest[before] + _BRIGHTER:
            before -= 1
        while after < min(len(shot) - 1, stop + reach) and brightest[after + 1] > brightest[after] + _BRIGHTER:
            after += 1
        first, last = (_look(frame) for frame in read_frames(shot, [before, after], max_side_px=_SIDE_PX))
        others = [cut for cut in cuts if not before < cut <= after]
        middle = (start + stop) // 2
        nearest = min(abs(middle - edge) for edge in (0, *others, len(shot)))
        is_cut = _difference(first, last) >= config.difference and nearest >= config.min_frames
        cuts = sorted([*others, middle]) if is_cut else others
    return cuts
