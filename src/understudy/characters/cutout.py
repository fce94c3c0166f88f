"""The figure cut out of its picture."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from understudy.characters.protocol import Detection
from understudy.core.errors import CharacterError

__all__ = ["background_distance", "cut_out", "largest_figure"]

WORKING_HEIGHT_PX = 480
"""GrabCut runs at this height; a guided filter carries its edge to full resolution."""
SURE_ALPHA_SHARE = 0.02
"""A picture's alpha channel is meant as a cut-out when at least this share of it is transparent."""
FLAT_RESIDUAL = 2.0
"""A border whose Lab colours stay this near to a quadratic surface (90th percentile) is a plain background."""


def cut_out(
    picture: UInt8[np.ndarray, "height width 4"],
    detection: Detection | None = None,
    mask: Bool[np.ndarray, "height width"] | None = None,
) -> Bool[np.ndarray, "height width"]:
    """Which pixels belong to the figure: from the mask given, the alpha, a plain background, or the landmarks.

    Raises:
        CharacterError: nothing that looks like a figure stands out.
    """
    height, width = picture.shape[:2]
    alpha = picture[..., 3]
    if mask is not None:
        figure = mask
    elif np.mean(alpha < 128) > SURE_ALPHA_SHARE:
        figure = alpha >= 128
    else:
        figure = _cut_opaque(np.ascontiguousarray(picture[..., :3]), detection)
    figure = largest_figure(figure)
    rows = np.flatnonzero(figure.any(1))
    if len(rows) == 0 or figure.mean() < 0.004 or np.ptp(rows) < 0.15 * min(height, width):
        raise CharacterError(
            "no figure stands out in the picture: give one with a transparent background, or a mask file"
        )
    if figure.mean() > 0.97:
        raise CharacterError(
            "the cut-out covers the whole picture: give one with a transparent background, or a mask file"
        )
    return figure


def _cut_opaque(
    rgb: UInt8[np.ndarray, "height width 3"], detection: Detection | None
) -> Bool[np.ndarray, "height width"]:
    """A figure without alpha: a plain background is modelled; before a busy one, landmarks seed GrabCut."""
    height, width = rgb.shape[:2]
    scale = min(1.0, WORKING_HEIGHT_PX / height)
    small = cv2.resize(rgb, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA)
    distance, residual = background_distance(small)
    if residual <= FLAT_RESIDUAL:
        body = _sure_body(small.shape[:2], detection, scale)
        coverage = _fill_drawing(distance, body, threshold=max(7.0, 3.0 * residual))
    elif detection is not None:
        coverage = _grab_cut(small, _seeds_from_landmarks(small.shape[:2], detection, scale))
    else:
        coverage = _grab_cut(small, _seeds_from_background(distance))
    return _to_full_resolution(coverage.astype(np.float32), rgb)


def background_distance(
    rgb: UInt8[np.ndarray, "height width 3"],
) -> tuple[Float[np.ndarray, "height width"], float]:
    """How far each pixel's Lab colour is from the background's, and how plain the background is.

    The background is a quadratic surface per channel, fitted to the picture's border by iterated trimming (a figure
    may touch the border); the second value is the 90th percentile of the distance along the upper border, after
    the worst fifth is dropped.
    """
    height, width = rgb.shape[:2]
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB).astype(np.float64)
    y, x = np.mgrid[:height, :width]
    x, y = x / width - 0.5, y / height - 0.5
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
    ring = np.zeros((height, width), bool)
    rim = max(2, round(0.03 * min(height, width)))
    ring[:rim], ring[-rim:], ring[:, :rim], ring[:, -rim:] = True, True, True, True
    keep = ring.copy()
    surface = lab
    for _ in range(4):
        weights = np.linalg.lstsq(basis[keep], lab[keep], rcond=None)[0]
        surface = basis @ weights
        apart = lab - surface
        # A shadow only darkens the background; nothing but the figure is lighter than it.
        apart[..., 0] *= np.where(apart[..., 0] < 0, 0.75, 1.4)
        distance = np.linalg.norm(apart, axis=-1)
        keep = ring & (distance <= np.quantile(distance[ring], 0.8))
    distance = ndimage.gaussian_filter(distance, 0.6)
    return distance, float(np.quantile(distance[keep], 0.9))


def _sure_body(shape: tuple[int, int], detection: Detection | None, scale: float) -> Bool[np.ndarray, "row column"]:
    """Trunk, limbs and all above them: there a patch of the background's colour is the figure (a white hood)."""
    body = np.zeros(shape, np.uint8)
    if detection is None:
        return body > 0
    points = detection[0] * scale
    cv2.fillConvexPoly(body, cv2.convexHull(np.round(points[[11, 12, 24, 23]]).astype(np.int32)), 1)
    body[: max(0, round(float(points[[11, 12], 1].mean())))] = 1
    width = max(1, round(0.25 * float(np.linalg.norm(points[11] - points[12]))))
    for limb in ((11, 13, 15), (12, 14, 16), (23, 25, 27), (24, 26, 28)):
        cv2.polylines(body, [np.round(points[list(limb)]).astype(np.int32)], False, 1, width)
    return body > 0


def _fill_drawing(
    distance: Float[np.ndarray, "height width"], body: Bool[np.ndarray, "height width"], threshold: float
) -> Bool[np.ndarray, "height width"]:
    """Strokes closed and what they enclose filled: a line drawing's body has the colour of its paper."""
    height = distance.shape[0]
    stroke = distance > threshold
    stroke = ndimage.binary_opening(stroke, iterations=1) | (distance > 2 * threshold)
    filled = _close_and_fill(stroke, max(2, round(0.008 * height)))
    # A line drawing encloses paper all over. Anything else mostly differs from its background itself, and closing
    # would only bridge the slits between arms and body.
    if np.mean(distance[filled] < 0.5 * threshold) > 0.35 if filled.any() else True:
        return filled
    return _drop_clear_holes((filled & body) | _close_and_fill(stroke, 1), distance, body, threshold)


def _close_and_fill(stroke: Bool[np.ndarray, "height width"], radius: int) -> Bool[np.ndarray, "height width"]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # The picture's edge must not close a shape, so the closing works on a padded picture.
    padded = np.pad(stroke, 2 * radius).astype(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)[2 * radius : -2 * radius, 2 * radius : -2 * radius]
    return ndimage.binary_fill_holes(closed > 0)


def _drop_clear_holes(
    filled: Bool[np.ndarray, "height width"],
    distance: Float[np.ndarray, "height width"],
    body: Bool[np.ndarray, "height width"],
    threshold: float,
) -> Bool[np.ndarray, "height width"]:
    """Open again what a photographed or painted figure encloses of its background (between arm and body)."""
    paper = filled & (distance < 0.5 * threshold)
    holes, count = ndimage.label(ndimage.binary_opening(paper, iterations=2))
    if count == 0:
        return filled
    sizes = ndimage.sum_labels(np.ones_like(holes), holes, np.arange(1, count + 1))
    depth = ndimage.maximum(ndimage.distance_transform_edt(holes > 0), holes, np.arange(1, count + 1))
    height = distance.shape[0]
    inside = ndimage.mean(body, holes, np.arange(1, count + 1))
    clear = np.flatnonzero((sizes > 4e-4 * height**2) & (depth > 0.006 * height) & (inside < 0.5)) + 1
    return filled & ~ndimage.binary_dilation(np.isin(holes, clear), iterations=1)


def _seeds_from_landmarks(
    shape: tuple[int, int], detection: Detection, scale: float
) -> UInt8[np.ndarray, "row column"]:
    """GrabCut's labels: the middle of the detected body is sure, what is far from it is background."""
    height, width = shape
    points, visibility, _, body = detection
    body = cv2.resize(body.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    points = points * scale
    skeleton, torso = _draw_skeleton(points, visibility, shape)
    size = max(np.ptp(points[:, 1]), 0.3 * height)
    likely = body > 0.5
    # The model's body often ends at the ankles; shoes reach a little around the feet's bones.
    feet = np.zeros(shape, np.uint8)
    for ankle, toe in ((27, 31), (28, 32)):
        if min(visibility[ankle], visibility[toe]) > 0.5:
            line = np.round(points[[ankle, toe]]).astype(int).tolist()
            cv2.line(feet, line[0], line[1], 1, max(1, round(0.035 * size)))
    likely |= feet > 0
    seeds = np.full(shape, cv2.GC_PR_BGD, np.uint8)
    seeds[likely] = cv2.GC_PR_FGD
    inner = ndimage.binary_erosion(body > 0.9, iterations=max(2, round(0.012 * size)))
    seeds[inner | (torso & (body > 0.5)) | (skeleton & (body > 0.7))] = cv2.GC_FGD
    seeds[ndimage.distance_transform_edt(~(likely | skeleton)) > 0.10 * size] = cv2.GC_BGD
    return seeds


def _seeds_from_background(distance: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """GrabCut's labels when nobody was found: what differs most from the border, near the middle column."""
    height, width = distance.shape
    x = np.abs(np.arange(width) / width - 0.5)
    score = ndimage.gaussian_filter(distance, 0.006 * height) * np.exp(-((x / 0.25) ** 2))
    seeds = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    seeds[score > np.quantile(score, 0.75)] = cv2.GC_PR_FGD
    seeds[score > np.quantile(score, 0.93)] = cv2.GC_FGD
    rim = max(2, round(0.02 * width))
    seeds[:, :rim], seeds[:, -rim:], seeds[:rim] = cv2.GC_BGD, cv2.GC_BGD, cv2.GC_BGD
    return seeds


def _grab_cut(
    small: UInt8[np.ndarray, "height width 3"], seeds: UInt8[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """Source: Rother et al. 2004, GrabCut."""
    if not np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD)).any() or not np.isin(seeds, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        return np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))
    cv2.setRNGSeed(7)
    sure = seeds == cv2.GC_FGD
    labels = seeds.copy()
    cv2.grabCut(
        np.ascontiguousarray(small[..., ::-1]), labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 4,
        cv2.GC_INIT_WITH_MASK,
    )  # fmt: skip
    figure = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return ndimage.binary_opening(figure, iterations=1) | sure


BONES = (
    (11, 12),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
    (23, 24),
    (23, 25),
    (25, 27),
    (24, 26),
    (26, 28),
    (11, 23),
    (12, 24),
)


def _draw_skeleton(
    points: Float[np.ndarray, "33 2"], visibility: Float[np.ndarray, " 33"], shape: tuple[int, int]
) -> tuple[Bool[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """Thin lines along the bones that are in sight, and the torso's quadrilateral."""
    lines, torso = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    pixel = np.round(points).astype(int)
    for a, b in BONES:
        if min(visibility[a], visibility[b]) > 0.5:
            cv2.line(lines, pixel[a].tolist(), pixel[b].tolist(), 1, 2)
    cv2.fillConvexPoly(torso, cv2.convexHull(pixel[[11, 12, 24, 23]].astype(np.int32)), 1)
    return lines > 0, ndimage.binary_erosion(torso > 0, iterations=2)


def _to_full_resolution(
    coverage: Float[np.ndarray, "low_height low_width"], rgb: UInt8[np.ndarray, "height width 3"]
) -> Bool[np.ndarray, "height width"]:
    """Carry a small mask to full resolution along the picture's edges. Source: He et al. 2013 (guided filter)."""
    height, width = rgb.shape[:2]
    coarse = cv2.resize(coverage.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    ratio = height / coverage.shape[0]
    if ratio < 1.05:
        return coarse > 0.5
    guide = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    size = (2 * max(2, round(2.5 * ratio)) + 1,) * 2
    mean_g, mean_m = cv2.blur(guide, size), cv2.blur(coarse, size)
    slope = (cv2.blur(guide * coarse, size) - mean_g * mean_m) / (cv2.blur(guide * guide, size) - mean_g**2 + 1e-3)
    offset = mean_m - slope * mean_g
    refined = cv2.blur(slope, size) * guide + cv2.blur(offset, size)
    sure = cv2.blur(coarse, size)
    return np.where(sure > 0.98, True, np.where(sure < 0.02, False, refined > 0.5))


def largest_figure(figure: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The largest connected piece, without pinholes."""
    pieces, count = ndimage.label(figure)
    if count == 0:
        return figure
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    figure = pieces == sizes.argmax()
    holes, count = ndimage.label(~figure)
    sizes = np.bincount(holes.ravel())
    small = np.flatnonzero(sizes < max(4, 1.5e-4 * figure.sum()))
    return figure | np.isin(holes, small)
