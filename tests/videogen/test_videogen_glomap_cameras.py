"""Structure from motion on films of our own sets, whose cameras are known."""

import math

import numpy as np
import pytest

from understudy.metrics.camera import rotation_error_deg, trajectory_error_m
from understudy.synthetic.worlds.camera_paths import MoveMix
from understudy.synthetic.worlds.endless import ClipMix, ClipSizes, EndlessClips
from understudy.videogen.evaluation.glomap_cameras import glomap_poses
from understudy.videogen.sample import frames_of

SIZES = ClipSizes(frames=9, height=320, width=320, crops=1, crop_size=16)


@pytest.fixture(scope="module")
def arc():
    mix = ClipMix(moves=MoveMix({"arc": 1.0}, math.radians(30.0)), empty_share=0.0)
    return EndlessClips(1, SIZES, split="held_out", mix=mix).clips([2])


def test_an_arc_is_found(arc):
    found = glomap_poses(frames_of(arc.video)[0], arc.K[0].double().numpy(), (arc.mask[0] == 0).numpy())
    true = arc.T_start_camera[0].double().numpy()
    assert rotation_error_deg(found, true).max() < 0.5
    length = np.linalg.norm(np.diff(true[:, :3, 3], axis=0), axis=-1).sum()
    assert trajectory_error_m(found, true).mean() < 0.02 * length


def test_frames_of_nothing_have_no_cameras(arc):
    grey = np.full((5, 320, 320, 3), 128, np.uint8)
    assert glomap_poses(grey, arc.K[0].double().numpy()) is None
