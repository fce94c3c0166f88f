"""The figures of framing, on bodies whose places in the picture are written by hand."""

import numpy as np
import pytest

from understudy.cinematography.fit_terms import Picture
from understudy.cinematography.framing import measured_framing


def picture(points_px: list, box_px: list, seen: float = 1.0) -> Picture:
    """One frame of a body; the last two points are its feet."""
    points = np.array([points_px], float)
    return Picture(
        points_px=points,
        points_seen=np.full(points.shape[:2], seen),
        by_points={},
        outline_px=np.zeros((1, 6)),
        outline_seen=np.array([seen]),
        by_outline={},
        box_px=np.array([box_px], float),
    )


ACTOR = picture([[50, 10], [50, 60], [40, 110], [60, 110]], [30, 10, 70, 110])
HEIGHT_PX = np.array([100.0])
LEFT_STANDS = np.array([[1.0, 0.2]])


def test_errors_are_shares_of_the_actor_s_height():
    # Joints 3-4-5 away; the left foot 10 px off, the right one, which hangs, 80; the box moved by (6, 8), 20 % higher.
    body = picture([[53, 14], [53, 64], [50, 110], [60, 30]], [26, 8, 86, 128])
    framing = measured_framing(body, ACTOR, HEIGHT_PX, LEFT_STANDS)
    assert framing.keypoint_error == pytest.approx([0.05])
    assert framing.box_centre_error == pytest.approx([np.hypot(6, 8) / 100])
    assert framing.box_height_error == pytest.approx([0.2])
    assert framing.foot_error == pytest.approx([0.1])


def test_the_actor_s_own_framing_has_no_error_and_no_standing_foot_none_either():
    framing = measured_framing(ACTOR, ACTOR, HEIGHT_PX, np.zeros((1, 2)))
    assert framing.keypoint_error == framing.box_centre_error == framing.box_height_error == framing.foot_error == [0]


def test_a_body_behind_the_camera_is_as_wrong_as_can_be():
    framing = measured_framing(picture([[50, 10]] * 4, [30, 10, 70, 110], seen=0.0), ACTOR, HEIGHT_PX, LEFT_STANDS)
    assert [framing.keypoint_error[0], framing.box_centre_error[0], framing.foot_error[0]] == [10, 10, 10]
