"""The benchmark of characters measures what it says, on bodies whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from known_bodies import benchmark, ellipsoid

from understudy.core.motion import BODY_JOINTS

measures = benchmark("measures")
BALL = ellipsoid((0.5, 0.5, 0.5), (0.0, 0.5, 0.0))


def test_a_figure_of_another_size_and_place_is_aligned_to_itself():
    seen = measures.see(BALL, ellipsoid((1.0, 1.0, 1.0), (3.0, -2.0, 1.0)))
    figures = measures.outline_figures(seen)
    assert figures["front_iou"] > 0.995 and figures["unseen_iou"] > 0.995 and figures["side_iou"] > 0.995
    assert measures.joint_figures(seen.truth, seen.guess)["joints_worst_percent"] < 0.3


def test_half_the_depth_is_half_the_outline_at_the_side_and_all_of_it_in_front():
    seen = measures.see(BALL, ellipsoid((0.5, 0.5, 0.25)))
    figures = measures.outline_figures(seen)
    assert figures["front_iou"] > 0.99
    assert figures["side_iou"] == pytest.approx(0.5, abs=0.01)
    # An ellipse of half axes cos²a + sin²a/4 under the root, beside a circle.
    angles = np.radians(measures.AZIMUTHS_DEG[1:8])
    expected = np.sqrt(np.cos(angles) ** 2 + 0.25 * np.sin(angles) ** 2).mean()
    assert figures["unseen_iou"] == pytest.approx(expected, abs=0.01)


def test_the_shift_in_depth_is_found_whatever_the_bounds_say():
    long_nose = replace(BALL.mesh, vertices=BALL.mesh.vertices.copy())
    tip = long_nose.vertices[:, 2].argmax()
    long_nose.vertices[tip, 2] += 0.2
    seen = measures.see(BALL, replace(BALL, mesh=long_nose))
    assert seen.shift == pytest.approx(0.1, abs=0.006)


def test_colours_are_compared_as_albedo_without_light():
    seen = measures.see(BALL, ellipsoid((0.5, 0.5, 0.5), colour=0.25))
    coded = [255 * (1.055 * value ** (1 / 2.4) - 0.055) for value in (0.5, 0.25)]
    expected = 20 * np.log10(255 / (coded[0] - coded[1]))
    figures = measures.colour_figures(seen)
    assert figures["unseen_albedo_db"] == pytest.approx(expected, abs=0.1)
    assert figures["back_albedo_db"] == pytest.approx(expected, abs=0.1)


def test_joints_are_off_by_shares_of_the_height():
    skeleton = BALL.skeleton.T_parent_joint.copy()
    skeleton[BODY_JOINTS.index("LeftHand"), :3, 3] += (0.0, 0.03, 0.04)
    moved = replace(BALL, skeleton=replace(BALL.skeleton, T_parent_joint=skeleton))
    figures = measures.joint_figures(BALL, moved)
    assert figures["joints"]["LeftHand"] == pytest.approx(5.0) and figures["joints"]["RightHand"] == 0.0
    assert figures["joints_percent"] == pytest.approx(5.0 / 15, abs=0.01)
    assert figures["joints_in_picture_percent"] == pytest.approx(3.0 / 15, abs=0.01)


def test_depth_over_width_is_read_at_the_head():
    assert measures.proportions(ellipsoid((0.5, 0.5, 0.3)))["head"] == pytest.approx(0.6, abs=0.005)


def test_hair_that_hangs_on_an_arm_is_counted():
    joints = BALL.skin_joints.copy()
    joints[BALL.mesh.vertices[:, 0] > 0] = BODY_JOINTS.index("LeftForeArm")
    figures = measures.loose_parts(measures.see(BALL, replace(BALL, skin_joints=joints)))
    assert figures["loose_follow_limbs_percent"] == pytest.approx(50, abs=3)
    assert measures.loose_parts(measures.see(BALL, BALL))["loose_follow_limbs_percent"] == 0.0


def test_a_character_is_moved_with_its_skin():
    moved = measures.moved(BALL, 2.0, np.array([1.0, 0.0, -1.0]))
    rest = np.tile(np.eye(4), (22, 1, 1))
    rest[:, :3, 3] = [place for _, place in sorted(measures.joints_m(moved).items(), key=lambda x: moved.roles[x[0]])]
    one = np.append(moved.mesh.vertices[7], 1.0)
    head = BODY_JOINTS.index("Head")
    assert np.allclose((rest[head] @ moved.T_joint_mesh[head] @ one)[:3], moved.mesh.vertices[7])


def test_what_is_behind_is_not_in_front():
    wall = np.stack([*np.meshgrid(np.linspace(0, 1, 80), np.linspace(0, 1, 80)), np.zeros((80, 80))], -1).reshape(-1, 3)
    hidden = wall - [0.0, 0.0, 0.1]
    seen = measures.in_front(np.concatenate([wall, hidden]))
    assert seen[: len(wall)].all()
    assert not seen[len(wall) :].any()
