"""Does a subject appear, where, does it move, and does it wear what the words say?

The subject is found by our generator's own segmentation: what differs from the known empty set, seen from the true
camera. That is exact for the truth. For a model it holds only where its set is right: a wall drawn in the wrong place
differs too. So differences are counted against all that lies within a pixel or so, sharp or blurred, and a blob must
have the size of a person. Read these figures beside the background's PSNR, and beside those of the truth.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from skimage.color import rgb2lab
from torch import Tensor

from understudy.imaging.colour import linear_from_srgb, srgb_from_linear
from understudy.synthetic.worlds.endless import SceneDescription
from understudy.synthetic.worlds.raycast.shading import AMBIENT
from understudy.synthetic.worlds.subject import COLOURS

__all__ = ["FoundSubjects", "colour_agreement", "find_silhouettes", "movement", "placed_as_said"]

DIFFERENT = 0.24
"""Distance of two colours (−1 … 1 per channel, root of the mean square) from which they differ."""
BODY = 0.5
"""Coverage from which a true pixel is body; shadows stay below."""
SMALLEST_SHARE, LARGEST = 0.3, 4.0
"""How large a blob is that can be the subject, as a share of the true one's area."""
SMALLEST_PX = 6
LOOK_PX = 3
"""How far silhouettes are shifted to lie on each other."""
MOVES = 0.2
"""Of one that moves: mean share of it that changes between neighbouring frames, once they lie on each other."""
SIDE_RAD = 0.16
"""From where on the words say left or right: see `world_words`."""
SIDE_SLACK_RAD = 0.08
TOP, BOTTOM = (0.22, 0.48), (0.55, 0.85)
"""Which shares of a silhouette's height, from above, are the top and the trousers, shorts or skirt."""
LIGHTNESS_WEIGHT = 0.5
"""Of lightness against hue: how light a colour looks depends on the lamp."""


@dataclass(frozen=True)
class FoundSubjects:
    """What was found in clips."""

    body: Bool[Tensor, "batch frame height width"]
    """The largest blob that differs from the empty set; nothing where none has a person's size."""
    asked: Bool[Tensor, "batch frame"]
    """Frames in which the true subject can be seen whole enough to be looked for."""

    @property
    def found(self) -> Bool[Tensor, "batch frame"]:
        """Frames with a silhouette, among those asked."""
        return self.body.flatten(2).any(2) & self.asked

    @property
    def present(self) -> Bool[Tensor, " batch"]:
        """Clips with a subject in most of the frames that should show it."""
        return 2 * self.found.sum(1) > self.asked.sum(1)


def find_silhouettes(
    clips: Float[Tensor, "batch frame 3 height width"],
    empty: Float[Tensor, "batch frame 3 height width"],
    true_coverage: Float[Tensor, "batch frame height width"],
) -> FoundSubjects:
    """Find the subject of clips.

    `true_coverage` is that of the clips with their subject, also for clips that were asked for without one: it says how
    large a subject would be, and in which frames.
    """
    area = (true_coverage > BODY).sum((2, 3)).cpu().numpy()
    different = _different(clips, empty).cpu().numpy()
    asked = area >= SMALLEST_PX
    body = np.zeros_like(different)
    for clip, frame in np.argwhere(asked):
        blob = _largest_blob(different[clip, frame])
        low, high = max(SMALLEST_PX, SMALLEST_SHARE * area[clip, frame]), LARGEST * area[clip, frame]
        if low <= blob.sum() <= high:
            body[clip, frame] = blob
    device = clips.device
    return FoundSubjects(torch.from_numpy(body).to(device), torch.from_numpy(asked).to(device))


def movement(silhouettes: FoundSubjects) -> Float[Tensor, " batch"]:
    """How much of the silhouette changes from frame to frame: 1 − intersection over union of neighbours, at best.

    Neighbours are shifted over each other first, so that neither the camera nor walking alone counts. NaN: fewer than
    two neighbouring frames show it. Above MOVES it moves.
    """
    body, found = silhouettes.body.cpu().numpy(), silhouettes.found.cpu().numpy()
    change = torch.full((len(body),), float("nan"))
    for clip in range(len(body)):
        pairs = np.flatnonzero(found[clip, 1:] & found[clip, :-1])
        if len(pairs):
            change[clip] = float(np.mean([1 - _best_iou(body[clip, at], body[clip, at + 1]) for at in pairs]))
    return change


def placed_as_said(
    silhouettes: FoundSubjects, scene: SceneDescription, K: Float[Tensor, "batch 3 3"]
) -> Float[Tensor, " batch"]:
    """1 where the subject stands on the side of the first frame that its words name, 0 where not; NaN: not found."""
    body, there = silhouettes.body[:, 0].float(), silhouettes.found[:, 0]
    column = torch.arange(body.shape[-1], device=body.device) + 0.5
    centre = (body.sum(1) * column).sum(1) / body.sum((1, 2)).clamp(min=1)
    bearing = torch.atan((centre - K[:, 0, 2]) / K[:, 0, 0])
    said = scene.subject.bearing_rad
    left, right = bearing < -SIDE_RAD + SIDE_SLACK_RAD, bearing > SIDE_RAD - SIDE_SLACK_RAD
    middle = bearing.abs() < SIDE_RAD + SIDE_SLACK_RAD
    right_place = torch.where(said < -SIDE_RAD, left, torch.where(said > SIDE_RAD, right, middle))
    return torch.where(there, right_place.float(), torch.nan).cpu()


def colour_agreement(
    clips: Float[Tensor, "batch frame 3 height width"], silhouettes: FoundSubjects, scene: SceneDescription
) -> Float[Tensor, " batch"]:
    """How well the colours of top and bottom are those that the words name: the share of other colours that fit worse.

    1: no other fits better; 0.5: chance. Colours are compared under the set's known lamp. NaN: not found.
    """
    table = torch.tensor(list(COLOURS.values())).numpy()
    colours = rgb2lab(table[None])[0]
    lamp = scene.world.light.ambient.cpu().numpy() * AMBIENT
    pictures = (clips.clamp(-1, 1).cpu().numpy() + 1) / 2
    body, found = silhouettes.body.cpu().numpy(), silhouettes.found.cpu().numpy()
    named = torch.stack([scene.subject.top_colour, scene.subject.bottom_colour], 1).cpu().numpy()
    agreement = torch.full((len(body),), float("nan"))
    for clip in np.flatnonzero(found.any(1)):
        shares = []
        for part, rows in enumerate((TOP, BOTTOM)):
            seen = np.concatenate(
                [_part(pictures[clip, frame], body[clip, frame], rows) for frame in np.flatnonzero(found[clip])]
            )
            if len(seen):
                shares.append(_share_that_fits_worse(seen, lamp[clip], colours, int(named[clip, part])))
        if shares:
            agreement[clip] = float(np.mean(shares))
    return agreement


def _different(
    clips: Float[Tensor, "batch frame 3 height width"], empty: Float[Tensor, "batch frame 3 height width"]
) -> Bool[Tensor, "batch frame height width"]:
    """Pixels unlike everything that the empty set shows within a pixel, sharp or blurred."""
    size = clips.shape[-2:]
    frames, known = clips.flatten(0, 1), empty.flatten(0, 1)
    padded = F.pad(known, (1, 1, 1, 1), mode="replicate")
    nearby = F.unfold(padded, 3).view(len(known), 3, 9, *size)
    smooth = F.avg_pool2d(F.pad(known, (2, 2, 2, 2), mode="replicate"), 5, 1)
    nearby = torch.cat([nearby, F.avg_pool2d(padded, 3, 1)[:, :, None], smooth[:, :, None]], 2)
    distance = (frames[:, :, None] - nearby).square().mean(1).sqrt().amin(1)
    return (distance > DIFFERENT).unflatten(0, clips.shape[:2])


def _largest_blob(different: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    closed = cv2.morphologyEx(different.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, facts, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    if count < 2:
        return np.zeros_like(different)
    return labels == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()


def _best_iou(a: Bool[np.ndarray, "height width"], b: Bool[np.ndarray, "height width"]) -> float:
    """Intersection over union after the best shift: centre on centre, then LOOK_PX to every side."""
    centre_a, centre_b = (np.argwhere(mask).mean(0) for mask in (a, b))
    down, right = np.round(centre_b - centre_a).astype(int)
    reach = LOOK_PX + int(max(abs(down), abs(right)))
    wide_a, wide_b = np.pad(a, reach), np.pad(b, reach)
    best = 0.0
    for y in range(down - LOOK_PX, down + LOOK_PX + 1):
        for x in range(right - LOOK_PX, right + LOOK_PX + 1):
            shifted = np.roll(wide_a, (y, x), (0, 1))
            best = max(best, np.count_nonzero(shifted & wide_b) / np.count_nonzero(shifted | wide_b))
    return best


def _part(
    picture: Float[np.ndarray, "3 height width"], body: Bool[np.ndarray, "height width"], rows: tuple[float, float]
) -> Float[np.ndarray, "pixel 3"]:
    """Pixels of a band of the silhouette, without its outermost ones where it is thick enough."""
    inner = cv2.erode(body.astype(np.uint8), np.ones((1, 3), np.uint8)).astype(bool)
    kept = inner if inner.any() else body
    tall = np.flatnonzero(body.any(1))
    share = (np.arange(body.shape[0]) - tall[0] + 0.5) / (tall[-1] - tall[0] + 1)
    band = kept & ((share > rows[0]) & (share < rows[1]))[:, None]
    return picture[:, band].T


def _share_that_fits_worse(
    seen: Float[np.ndarray, "pixel 3"],
    lamp: Float[np.ndarray, " 3"],
    colours: Float[np.ndarray, "colour 3"],
    named: int,
) -> float:
    linear = linear_from_srgb(seen) / lamp
    linear = np.clip(np.median(linear, 0), 0, 1)
    srgb = srgb_from_linear(linear)
    difference = rgb2lab(srgb[None, None])[0, 0] - colours
    difference[:, 0] *= LIGHTNESS_WEIGHT
    distance = np.linalg.norm(difference, axis=1)
    others = np.delete(distance, named)
    return float((others > distance[named]).mean())
