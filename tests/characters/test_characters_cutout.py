"""Figures whose outline is known are cut out of their pictures."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from understudy.characters.cutout.cutout import cut_out
from understudy.runtime.errors import CharacterError
from understudy.synthetic.films.portraits import PORTRAITS, Portrait, take_portrait


@cache
def portrait(name: str) -> Portrait:
    """One of PORTRAITS at half its size."""
    config = next(config for config in PORTRAITS if config.name == name)
    return take_portrait(replace(config, width=310, height=430))


def seen(portrait: Portrait):
    """What the landmark model would see: its mask is coarse and lacks the soles."""
    body = cv2.GaussianBlur(portrait.share, (0, 0), 2.5)
    soles = np.flatnonzero((portrait.share > 0.5).any(1))[-1]
    body[soles - 8 :] = 0.0
    return portrait.landmarks_px, np.ones(33), np.zeros((33, 3)), body


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    return float(np.sum(a & b) / np.sum(a | b))


def opaque(rgb: np.ndarray) -> np.ndarray:
    """A picture without transparency."""
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


@pytest.mark.parametrize(
    "name",
    ["contact shadow", "shadow behind on grey", "strip of wall", "white suit on white, shadow", "shadow on the wall",
     "dark suit on dark grey"],
)  # fmt: skip
def test_plain_backdrops_shadows_and_lines_stay_out(name):
    made = portrait(name)
    assert overlap(cut_out(opaque(made.rgb), seen(made)), made.share > 0.5) > 0.97


def test_what_the_body_wears_stays_on():
    made = portrait("contact shadow")
    rgb, truth = made.rgb.copy(), (made.share > 0.5).astype(np.uint8)
    x, y = made.landmarks_px[0].astype(int)
    hand = made.landmarks_px[19].astype(int)
    for canvas, hat, bag in ((rgb, (190, 150, 60), (40, 90, 60)), (truth, 1, 1)):
        cv2.ellipse(canvas, (int(x), int(y) - 18), (38, 12), 0, 0, 360, hat, -1)
        cv2.rectangle(canvas, (int(hand[0]) - 18, int(hand[1])), (int(hand[0]) + 18, int(hand[1]) + 50), bag, -1)
    assert overlap(cut_out(opaque(rgb), seen(made)), truth > 0) > 0.97


def test_gap_between_legs_stays_open_where_the_model_sees_one_body():
    made = portrait("contact shadow")
    knees = int(made.landmarks_px[[25, 26], 1].mean())
    rgb, share = made.rgb[:knees], made.share[:knees]
    points, visibility, metres, body = seen(made)
    rows = np.arange(int(made.landmarks_px[[23, 24], 1].mean()), knees)
    body = body[:knees].copy()
    gap = np.zeros(share.shape, bool)
    for row in rows:
        columns = np.flatnonzero(share[row, 100:210] > 0.5) + 100
        gap[row, columns[0] : columns[-1]] = share[row, columns[0] : columns[-1]] < 0.5
    body[gap] = 1.0
    found = cut_out(opaque(rgb), (points, visibility, metres, body))
    assert gap.sum() > 400 and np.mean(found[gap]) < 0.1
    assert overlap(found, share > 0.5) > 0.97


def test_a_glow_around_the_figure_stays_out():
    made = portrait("shadow behind on grey")
    x, y = made.landmarks_px[11]
    rows, columns = np.mgrid[: made.share.shape[0], : made.share.shape[1]]
    glow = np.exp(-((columns - x - 12) ** 2 + (rows - y + 16) ** 2) / (2 * 16.0**2))[..., None]
    lit = made.rgb + 90 * glow * (1, 0.55, 0.4) * (1 - made.share[..., None])
    rgb = np.clip(lit, 0, 255).astype(np.uint8)
    assert overlap(cut_out(opaque(rgb), seen(made)), made.share > 0.5) > 0.97


def card(made: Portrait, margin: int, radius: int, frame: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The picture as a card: rounded corners, a transparent margin, a drawn frame; and where the figure is."""
    rgb = made.rgb.copy()
    if frame:
        for side in (rgb[:frame], rgb[-frame:], rgb[:, :frame], rgb[:, -frame:]):
            side[:] = (30, 40, 90)
    height, width = rgb.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    cv2.rectangle(alpha, (radius, 0), (width - 1 - radius, height), 255, -1)
    cv2.rectangle(alpha, (0, radius), (width, height - 1 - radius), 255, -1)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(alpha, (x, y), radius, 255, -1)
    around = ((margin, margin), (margin, margin))
    pixels = np.pad(np.dstack([np.where(alpha[..., None] > 0, rgb, 0), alpha]), (*around, (0, 0)))
    return pixels.astype(np.uint8), np.pad(made.share > 0.5, around)


@pytest.mark.parametrize(("margin", "radius", "frame"), [(0, 60, 0), (20, 30, 0), (12, 20, 8)])
def test_cards_are_no_cut_outs(margin, radius, frame):
    made = portrait("contact shadow")
    pixels, truth = card(made, margin, radius, frame)
    points, visibility, metres, body = seen(made)
    detection = points + margin, visibility, metres, np.pad(body, margin)
    assert overlap(cut_out(pixels, detection), truth) > 0.97


def test_alpha_of_a_figure_counts_without_its_drop_shadow():
    made = portrait("contact shadow")
    truth = made.share > 0.5
    shadow = cv2.warpAffine(made.share, np.array([[1.0, 0, 14], [0, 1.0, 8]]), truth.shape[::-1])
    shadow = 0.65 * cv2.GaussianBlur(shadow, (0, 0), 3.0)
    alpha = made.share + (1 - made.share) * shadow
    rgb = np.where(truth[..., None], made.rgb, np.uint8(10))
    pixels = np.dstack([rgb, (255 * alpha + 0.5).astype(np.uint8)])
    assert overlap(cut_out(pixels), truth) > 0.97


def test_an_empty_card_is_refused():
    pixels = np.pad(np.full((300, 200, 4), 200, np.uint8), ((20, 20), (20, 20), (0, 0)))
    pixels[20:-20, 20:-20, 3] = 255
    with pytest.raises(CharacterError, match="mask"):
        cut_out(pixels)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["contact_shadow", "white_on_white", "rounded_corners_alpha"])
def test_made_pictures_are_cut_out(shared_data, name):
    """The same person each time, of one height; only the backdrop and the clothes differ."""
    from understudy.io.pictures.files import read_picture
    from understudy.studio.pipeline.stages.figure_detectors import FigureLandmarks

    picture = read_picture(shared_data / f"faults/{name}.png")
    figure = cut_out(picture, FigureLandmarks()(np.ascontiguousarray(picture[..., :3])))
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    assert abs(np.ptp(rows) - 721) < 12 and abs(np.ptp(columns) - 440) < 8
    assert 0.27 < figure.sum() / (np.ptp(rows) * np.ptp(columns)) < 0.34
