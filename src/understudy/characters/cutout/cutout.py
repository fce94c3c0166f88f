"""The figure cut out of its picture."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from understudy.characters.cutout.backdrop import Backdrop, find_backdrop
from understudy.characters.cutout.card import drawn_by_alpha, is_cut_out, opaque_window
from understudy.characters.cutout.matting import outline, settle
from understudy.characters.protocol import Detection
from understudy.geometry.vectors import smooth_step
from understudy.runtime.errors import CharacterError

__all__ = ["background_distance", "cut_out", "largest_figure"]

WORKING_HEIGHT_PX, UNKNOWN_HEIGHT_PX = 640, 480
"""The figure is looked for at this height, with its body known or not; its outline is drawn at full resolution."""
BLOCK_PX, HALO = 16, 0.15
"""Around a strong contrast JPEG leaves differences of up to this share of it, as far as its blocks reach."""
SMALLEST_HOLE = 3e-4
"""Of a hole in the figure, in squared heights of the figure."""
CLEAR_EDGE = 4.0
"""How much, in differences that count, the figure differs from the backdrop around a gap."""
FLAT_RESIDUAL = 2.0
"""A border whose Lab colours stay this near to a quadratic surface (90th percentile) is a plain background."""


def cut_out(
    picture: UInt8[np.ndarray, "height width 4"],
    detection: Detection | None = None,
    mask: Bool[np.ndarray, "height width"] | None = None,
) -> Bool[np.ndarray, "height width"]:
    """Which pixels belong to the figure: from the mask given, the alpha, or the picture and the landmarks.

    Raises:
        CharacterError: nothing that looks like a figure stands out.
    """
    height, width = picture.shape[:2]
    if mask is not None:
        figure = mask
    elif is_cut_out(picture[..., 3]):
        figure = drawn_by_alpha(picture)
    else:
        rgb, window = opaque_window(picture)
        figure = np.zeros((height, width), bool)
        if detection is not None:
            points, visibility, metres, body = detection
            detection = points - (window[1].start, window[0].start), visibility, metres, body[window]
        figure[window] = _cut_opaque(rgb, detection)
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
    """A figure without alpha: before a plain backdrop or a busy one, found by the landmark model or not."""
    height, width = rgb.shape[:2]
    scale = min(1.0, (UNKNOWN_HEIGHT_PX if detection is None else WORKING_HEIGHT_PX) / height)
    small = cv2.resize(rgb, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA)
    if detection is not None:
        body = _known_body(small.shape[:2], detection, scale)
        tall = _height_of(body)
        shares = small.astype(np.float64) / 255.0
        backdrop = find_backdrop(shares, body, tall)
        if backdrop.plain:
            likely = _before_backdrop(shares, backdrop, body, detection[0] * scale, tall, scale)
        else:
            likely = _grab_cut(small, _seeds_from_landmarks(small.shape[:2], detection, scale)).astype(np.float64)
        tall_px = tall / scale
    else:
        distance, residual = background_distance(small)
        if residual <= FLAT_RESIDUAL:
            likely = _fill_drawing(distance, max(7.0, 3.0 * residual))
        else:
            likely = _grab_cut(small, _seeds_from_background(distance))
        tall_px = _height_of(likely) / scale
    likely = cv2.resize(likely.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return outline(rgb, np.where((likely > 0.5) & ~largest_figure(likely > 0.5), 0.0, likely), tall_px)


def _height_of(figure: Float[np.ndarray, "height width"] | Bool[np.ndarray, "height width"]) -> float:
    rows = np.flatnonzero((figure > 0.5).any(1))
    return float(np.ptp(rows) + 1) if len(rows) else float(len(figure))


def _known_body(shape: tuple[int, int], detection: Detection, scale: float) -> Float[np.ndarray, "row column"]:
    """How surely each pixel is the body's, 0 … 1; hands and feet, of which the model often misses the ends, likely."""
    height, width = shape
    points, visibility, _, body = detection
    body = cv2.resize(body.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA).astype(np.float64)
    tall, points = _height_of(body), points * scale
    ends = np.zeros(shape, np.uint8)
    for start, end, longer, breadth in (
        (27, 31, 1.0, 0.04), (28, 32, 1.0, 0.04), (29, 31, 1.0, 0.04), (30, 32, 1.0, 0.04),
        (15, 17, 1.7, 0.02), (15, 19, 1.7, 0.02), (16, 18, 1.7, 0.02), (16, 20, 1.7, 0.02),
    ):  # fmt: skip
        if min(visibility[start], visibility[end]) > 0.5:
            tip = points[start] + longer * (points[end] - points[start])
            line = np.round([points[start], tip]).astype(int).tolist()
            cv2.line(ends, line[0], line[1], 1, max(1, round(breadth * tall)))
    return np.maximum(body, 0.85 * cv2.GaussianBlur(ends.astype(np.float64), (0, 0), 0.004 * tall))


def _before_backdrop(
    rgb: Float[np.ndarray, "height width 3"],
    backdrop: Backdrop,
    body: Float[np.ndarray, "height width"],
    points: Float[np.ndarray, "33 2"],
    tall: float,
    scale: float,
) -> Float[np.ndarray, "height width"]:
    """How likely each pixel is the figure's before a plain backdrop: log-odds of the body's and the colour's word.

    What the backdrop's colour does not explain, not even under a shadow, is the figure's, wherever it is (a hat, a
    bag); what it explains is the figure's only where the body surely is (a white suit before white).
    """
    hips, knees = points[[23, 24], 1].mean(), points[[25, 26], 1].mean()
    low = smooth_step((np.arange(len(body)) - hips) / max(knees - hips, 1.0))[:, None]
    # Cast shadows lie on the floor; on a wall behind they are pale.
    lit, shaded = backdrop.distances(cv2.GaussianBlur(rgb, (0, 0), 0.7), np.broadcast_to(0.6 - 0.35 * low, body.shape))
    gaps = _gaps(lit, backdrop.reached, body, tall)
    reached, body = backdrop.reached | gaps, np.where(gaps, 0.0, body)
    # JPEG carries some of a strong contrast over to the pixels of the same block.
    halo = HALO * ndimage.maximum_filter(shaded, 2 * round(0.5 * BLOCK_PX * scale) + 1)
    strange = np.where(reached, 0.0, smooth_step((shaded - np.maximum(halo, 0.8)) / 1.4))
    # From white to black every edge passes the backdrop's grey; what is so thin says nothing.
    plain = np.maximum(ndimage.grey_opening(np.clip(1 - lit, 0, 1), (3, 3)), 0.7 * reached)
    shadow = np.where(reached, 0.0, (1 - strange) * (1 - plain))
    # A figure of which the body is but a part (a large hood, wings) is not bounded by it.
    beyond = ndimage.binary_opening((strange > 0.5) & (body < 0.3), iterations=max(1, round(0.006 * tall)))
    whole = 1 - smooth_step((beyond.sum() / max(np.sum(body > 0.5), 1) - 0.08) / 0.32)
    odds = np.clip(np.log((body + 0.01) / (1.01 - body)), -0.5 - 2.0 * whole, 4.5)
    odds += 5.0 * strange - 3.0 * plain + (1.5 - 2.5 * low) * shadow
    odds += 2.5 * (1 - whole) * ~(reached | (low > 0.5))
    sure = ndimage.binary_erosion(body > 0.95, iterations=max(2, round(0.008 * tall)))
    away = ndimage.distance_transform_edt(body < 0.1) > 0.025 * tall
    away &= reached | ((strange < 0.05) & (np.maximum(plain, low) > 0.5))
    guess = np.where(sure, 1.0, np.where(away, 0.0, 1 / (1 + np.exp(-odds))))
    likely = settle(rgb, guess, 0.05 * np.clip(np.abs(odds) / 3, 0.02, 1) ** 2, ~(sure | away))
    # What the figure encloses is a part of it unless it looks like the backdrop and is more than a light spot.
    holes, count = ndimage.label(likely <= 0.5)
    number = np.arange(1, count + 1)
    looks = np.atleast_1d(ndimage.median(np.where(low > 0.5, shaded, lit), holes, number))
    size = np.atleast_1d(ndimage.sum_labels(holes > 0, holes, number))
    return np.where(
        np.isin(holes, number[(looks > 1.0) | (size < SMALLEST_HOLE * (4 - 3 * whole) * tall**2)]), 1.0, likely
    )


def _gaps(
    lit: Float[np.ndarray, "height width"],
    reached: Bool[np.ndarray, "height width"],
    body: Float[np.ndarray, "height width"],
    tall: float,
) -> Bool[np.ndarray, "height width"]:
    """Where the backdrop goes on into the body, between legs that the landmark model sees as one.

    Such a gap differs clearly from all around it; the light side of white clothes before white does not.
    """
    alike = ndimage.binary_opening((lit < 0.5) & (body >= 0.5), iterations=1)
    pieces = ndimage.label(alike)[0]
    outside = np.pad(ndimage.binary_dilation(reached, iterations=3)[1:-1, 1:-1], 1, constant_values=True)
    gaps = np.zeros_like(reached)
    for piece in np.unique(pieces[alike & outside]):
        own = pieces == piece
        beside = ndimage.binary_dilation(own, iterations=2)
        around = ndimage.binary_dilation(beside, iterations=2) & ~beside & (body >= 0.5)
        if own.sum() > SMALLEST_HOLE * tall**2 and around.any() and np.median(lit[around]) > CLEAR_EDGE:
            gaps |= own
    return gaps


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


def _fill_drawing(distance: Float[np.ndarray, "height width"], threshold: float) -> Bool[np.ndarray, "height width"]:
    """Strokes closed and what they enclose filled: a line drawing's body has the colour of its paper."""
    height = distance.shape[0]
    stroke = distance > threshold
    stroke = ndimage.binary_opening(stroke, iterations=1) | (distance > 2 * threshold)
    filled = _close_and_fill(stroke, max(2, round(0.008 * height)))
    # A line drawing encloses paper all over. Anything else mostly differs from its background itself, and closing
    # would only bridge the slits between arms and body.
    if not filled.any() or np.mean(distance[filled] < 0.5 * threshold) > 0.35:
        return filled
    return _drop_clear_holes(_close_and_fill(stroke, 1), distance, threshold)


def _close_and_fill(stroke: Bool[np.ndarray, "height width"], radius: int) -> Bool[np.ndarray, "height width"]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # The picture's edge must not close a shape, so the closing works on a padded picture.
    padded = np.pad(stroke, 2 * radius).astype(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)[2 * radius : -2 * radius, 2 * radius : -2 * radius]
    return ndimage.binary_fill_holes(closed > 0)


def _drop_clear_holes(
    filled: Bool[np.ndarray, "height width"],
    distance: Float[np.ndarray, "height width"],
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
    clear = np.flatnonzero((sizes > 4e-4 * height**2) & (depth > 0.006 * height)) + 1
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
        np.ascontiguousarray(small[..., ::-1]), labels, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 4,
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
