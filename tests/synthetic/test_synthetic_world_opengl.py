"""Two renderers of one scene: what the ray caster shows, the OpenGL renderer shows as well."""

from fractions import Fraction

import numpy as np
import pytest

from understudy.core.camera import CameraPath
from understudy.synthetic.worlds.endless import ClipMix, ClipSizes, EndlessClips
from understudy.synthetic.worlds.opengl import film_with_opengl, panorama_with_opengl


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_both_renderers_show_the_same_scene(kind: int) -> None:
    worlds = tuple(float(number == kind) for number in range(3))
    clips = EndlessClips(4, ClipSizes(2, 192, 192, 1, 8), mix=ClipMix(worlds=worlds, empty_share=0.0))
    scene = clips.describe([kind])
    cast = clips.film(scene)
    T = scene.T_world_start[0].double().numpy() @ cast.T_start_camera[0].double().numpy()
    K = np.repeat(cast.K.double().numpy(), 2, 0)
    frames = list(film_with_opengl(scene, 0, CameraPath(T, K, 192, 192, Fraction(15)), np.linspace(0, 1, 2)))
    for number, frame in enumerate(frames):
        ours, theirs = cast.depth_m[0, number].numpy(), frame.depth_m
        both = np.isfinite(ours) & np.isfinite(theirs)
        assert (np.isfinite(ours) == np.isfinite(theirs)).mean() > 0.97
        ratio = theirs[both] / ours[both]
        assert ((ratio > 0.98) & (ratio < 1.02)).mean() > 0.9
        mask = cast.mask[0, number].numpy() > 0.5
        overlap = (mask & (frame.mask > 127)).sum() / max((mask | (frame.mask > 127)).sum(), 1)
        assert overlap > 0.85 or mask.sum() < 20
        seen = (cast.empty[0, number].permute(1, 2, 0).numpy() + 1) * 127.5
        assert np.median(np.abs(frame.clean_plate - seen)) < 20
        outside = frame.mask == 0
        assert (frame.picture[outside] == frame.clean_plate[outside]).all(1).mean() > 0.8  # The rest lies in shadow.
        assert np.corrcoef(frame.clean_plate.ravel(), seen.ravel())[0, 1] > 0.85


def test_panoramas_of_both_renderers_agree() -> None:
    clips = EndlessClips(4, ClipSizes(), mix=ClipMix(worlds=(0.0, 0.0, 1.0)))
    scene = clips.describe([3])
    ours = (clips.panorama(scene, 128)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    theirs = panorama_with_opengl(scene, 0, 128).astype(float)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.85
    assert np.median(np.abs(ours - theirs)) < 20
