"""The composite's laws."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from understudy.core.passes import Layer
from understudy.imaging.colour import linear_from_srgb_bytes, srgb_bytes_from_linear
from understudy.imaging.grain import GRAIN_NODES, Grain
from understudy.io.video.streams import VideoWriter
from understudy.refine.compose import Look, compose
from understudy.refine.refine import clean_pictures, refine_frames
from understudy.runtime.errors import FootageError

HEIGHT, WIDTH = 90, 120
PLAIN = Look(np.zeros(3), np.ones(3), np.zeros(3), 0.0, None, 0.0, 4.0)


def plate(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def passes(alpha: np.ndarray, light: np.ndarray | float, shadow: np.ndarray | None = None) -> Layer:
    alpha = alpha.astype(np.float32)
    colour = (alpha[..., None] * np.broadcast_to(light, (*alpha.shape, 3))).astype(np.float32)
    shadow = np.zeros_like(alpha) if shadow is None else shadow.astype(np.float32)
    return Layer(colour=colour, alpha=alpha, shadow=shadow)


def disc(soft: float = 0.0) -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.circle(picture, (60, 45), 25, 1.0, -1)
    return cv2.GaussianBlur(picture, (0, 0), soft) if soft else picture


def everything(grain: float = 3.0) -> Look:
    noise = Grain(np.full((len(GRAIN_NODES), 3), grain), 0.6, 0.7)
    return Look(np.full(3, 0.6), np.array([1.1, 1.0, 0.9]), np.full(3, 0.01), 1.2, noise, 0.35, 5.0)


def test_without_a_character_the_plate_comes_back_byte_for_byte():
    background = plate()
    for look in (PLAIN, everything()):
        assert np.array_equal(compose(background, passes(np.zeros((HEIGHT, WIDTH)), 0.5), look, 3), background)


def test_away_from_character_and_shadow_the_plate_comes_back_byte_for_byte():
    background = plate()
    done = compose(background, passes(disc(), 0.5), everything(), 3)
    far = cv2.dilate(disc(), np.ones((13, 13))) == 0
    assert np.array_equal(done[far], background[far])
    assert not np.array_equal(done[disc() > 0], background[disc() > 0])


def test_opaque_render_comes_back_without_a_match():
    picture = plate(1)
    light = linear_from_srgb_bytes(picture)
    done = compose(plate(), passes(np.ones((HEIGHT, WIDTH)), light), PLAIN, 0)
    assert np.abs(done.astype(int) - picture).max() <= 1


def test_half_covered_pixels_mix_in_linear_light():
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    done = compose(black, passes(np.full((HEIGHT, WIDTH), 0.5), 1.0), PLAIN, 0)
    # sRGB of half the light of white (IEC 61966-2-1): 188, not 128.
    assert (done == 188).all()


def test_shadow_takes_its_share_of_linear_light_and_not_from_the_character():
    background = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH))
    alpha[:, :40] = 1.0
    shadow = np.zeros((HEIGHT, WIDTH))
    shadow[:, :80] = 0.5
    look = replace(PLAIN, shadow_share=np.array([0.8, 0.6, 0.4]))
    done = compose(background, passes(alpha, 0.3, shadow), look, 0)
    expected = linear_from_srgb_bytes(background[0, 60]) * (1 - 0.5 * np.array([0.8, 0.6, 0.4]))
    assert np.abs(done[0, 60].astype(int) - srgb_bytes_from_linear(expected)).max() <= 1
    assert np.abs(done[0, 10].astype(int) - srgb_bytes_from_linear(np.full(3, 0.3))).max() <= 1
    assert (done[:, 80:] == 200).all()


def test_light_wrap_changes_nothing_where_character_and_set_are_alike():
    background = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    done = compose(background, passes(disc(1.0), linear_from_srgb_bytes(background[0, 0])), everything_but_wrap(), 0)
    assert np.abs(done.astype(int) - 120).max() <= 1


def everything_but_wrap() -> Look:
    return replace(PLAIN, light_wrap=0.5)


def test_light_wrap_brightens_the_rim_before_a_bright_set_and_leaves_the_middle():
    background = np.full((HEIGHT, WIDTH, 3), 230, np.uint8)
    with_wrap = compose(background, passes(disc(), 0.02), everything_but_wrap(), 0)
    without = compose(background, passes(disc(), 0.02), PLAIN, 0)
    assert with_wrap[45, 36, 0] > without[45, 36, 0] + 5
    assert abs(int(with_wrap[45, 60, 0]) - int(without[45, 60, 0])) <= 1


def test_same_input_gives_the_same_frame_but_for_the_grain():
    background, rendered = plate(), passes(disc(0.8), 0.3)
    still = replace(everything(), grain=None)
    assert np.array_equal(compose(background, rendered, still, 0), compose(background, rendered, still, 9))
    look = everything()
    assert np.array_equal(compose(background, rendered, look, 4), compose(background, rendered, look, 4))
    frames = np.stack([compose(background, rendered, look, frame)[45, 50:70] for frame in range(60)]).astype(float)
    assert frames.std(0).mean() > 2
    # Grain moves, the picture below it does not: early and late means agree within their own error.
    assert np.abs(frames[:30].mean(0) - frames[30:].mean(0)).mean() < 1.0


def test_grain_on_the_character_is_as_strong_as_measured():
    background = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    sigma = np.tile(np.array([2.0, 4.0, 6.0]), (len(GRAIN_NODES), 1))
    look = replace(PLAIN, grain=Grain(sigma, 0.0, 0.0))
    rendered = passes(np.ones((HEIGHT, WIDTH)), 0.2)
    frames = np.stack([compose(background, rendered, look, frame) for frame in range(12)]).astype(float)
    measured = np.sqrt(frames.var((0, 1, 2)) - 1 / 12)
    assert np.allclose(measured, [2.0, 4.0, 6.0], rtol=0.06)


def write(path, frames, kind: str):
    with VideoWriter(path, frames[0].shape[1], frames[0].shape[0], Fraction(25), kind) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test_stage_gives_a_frame_for_each_frame():
    steps = []
    frames = refine_frames(
        (passes(disc(), 0.4) for _ in range(5)),
        (plate(frame) for frame in range(5)),
        everything(),
        5,
        lambda done, total: steps.append((done, total)),
    )
    assert len(list(frames)) == 5 and steps[-1] == (5, 5)


def test_stage_refuses_pictures_that_end_early_or_have_another_size():
    with pytest.raises(FootageError, match="after 3 of 5"):
        list(refine_frames((passes(disc(), 0.4) for _ in range(5)), (plate() for _ in range(3)), PLAIN, 5))
    large = np.zeros((HEIGHT + 8, WIDTH), np.float32)
    with pytest.raises(FootageError, match="120×98 pixels, the shot 120×90"):
        list(refine_frames((passes(large, 0.4) for _ in range(3)), (plate() for _ in range(3)), PLAIN, 3))


def test_the_set_is_the_shots_own_picture_wherever_nothing_was_removed(tmp_path):
    shot, fills = [plate(frame) for frame in range(3)], [plate(frame + 9) for frame in range(3)]
    share = np.zeros((HEIGHT, WIDTH), np.uint8)
    share[20:50, 30:70], share[50:60, 30:70] = 255, 1
    # Codecs of 4:2:0 pad.
    padded = [np.pad(picture, ((0, 1), (0, 1), (0, 0))) for picture in fills]
    paths = write(tmp_path / "plate.mkv", padded, "lossless"), write(tmp_path / "removed.mkv", [share] * 3, "mask")
    for frame, fill, picture in zip(shot, fills, clean_pictures(shot, *paths), strict=True):
        assert np.array_equal(picture[share == 0], frame[share == 0])
        # Where the fill fades out, the plate holds the mix: it is not mixed with the shot again.
        assert np.array_equal(picture[share > 0], fill[share > 0])
    for fill, picture in zip(fills, clean_pictures(shot, paths[0], None), strict=True):
        assert np.array_equal(picture, fill)


def test_a_plate_or_matte_that_is_too_small_is_refused(tmp_path):
    small = write(tmp_path / "small.mkv", [plate()[:-2]] * 2, "lossless")
    matte = write(tmp_path / "matte.mkv", [plate()[:-2, :, 0]] * 2, "mask")
    for paths in ((small, None), (write(tmp_path / "plate.mkv", [plate()] * 2, "lossless"), matte)):
        with pytest.raises(FootageError, match=r"(small|matte).mkv has 120×88 pixels, the shot 120×90"):
            list(clean_pictures([plate()] * 2, *paths))
