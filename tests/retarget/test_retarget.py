"""Laws of retargeting: same body, same motion; any rest pose; any size; feet that stand, stand."""

from dataclasses import replace
from fractions import Fraction
from time import process_time

import numpy as np
import pytest
from box_person import box_person
from rest_poses import in_rest_pose
from scipy.spatial.transform import Rotation

from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS, Motion, Skeleton
from understudy.geometry.kinematics import forward_kinematics, rest_pose
from understudy.geometry.rigid import invert
from understudy.geometry.rotations import (
    matrix_from_quaternion,
    quaternion_from_matrix,
    quaternion_from_vector,
    quaternion_multiply,
)
from understudy.retarget.contacts import find_contacts
from understudy.retarget.rest import measure
from understudy.retarget.retarget import RetargetConfig, retarget_motion

PLAIN = RetargetConfig(foot_lock="never", clear_arms=False)
JOINT = {name: joint for joint, name in enumerate(BODY_JOINTS)}


def world(motion: Motion) -> np.ndarray:
    s = motion.skeleton
    return forward_kinematics(s.parents, s.T_parent_joint[:, :3, 3], motion.q_parent_joint, motion.root_position_m)


def wild_motion(person: Character, frames: int = 30) -> Motion:
    """Smooth, large turns of all joints and a path."""
    rng = np.random.default_rng(2)
    t = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    waves = [rng.normal(size=(2, len(BODY_JOINTS), 3)) for _ in range(3)]
    turn = sum(0.25 * (a * np.sin(k * t) + b * np.cos(k * t)) for k, (a, b) in enumerate(waves, 1))
    path = np.stack([np.linspace(0, 2, frames), np.full(frames, 0.95), np.linspace(1, -1, frames)], 1)
    return Motion(person.skeleton, quaternion_from_vector(turn), path, Fraction(30))


def steps(person: Character, frames: int = 90, slip_m: float = 0.0) -> Motion:
    """A walk along +Z whose ankles stand exactly still in turn (but for `slip_m` per frame), soles flat on the ground.

    Made by placing the ankles and bending the legs: the truth about contacts is known.
    """
    stride, half = 0.6, 15
    at = rest_pose(person.skeleton.parents, person.skeleton.T_parent_joint)[:, :3, 3]
    q = np.tile(quaternion_from_matrix(np.eye(3)), (frames, 22, 1))
    hips_z = np.arange(frames) * stride / (2 * half)
    path = np.stack([np.zeros(frames), np.full(frames, at[0, 1] - 0.12), hips_z], 1)
    for number, side in enumerate(("Left", "Right")):
        ankle = np.zeros((frames, 3))
        for frame in range(frames):
            phase, within = divmod(frame + number * half, 2 * half)
            start = phase * stride - number * stride / 2
            share = max(0.0, (within - half) / half)
            lift = 0.08 * np.sin(np.pi * share) ** 2
            slip = slip_m * min(within, half)
            ahead = start + stride * (3 - 2 * share) * share**2 + slip
            ankle[frame] = at[JOINT[f"{side}Foot"]] + [0, lift, ahead]
        hip = path + at[JOINT[f"{side}UpLeg"]] - at[0]
        thigh = np.linalg.norm(at[JOINT[f"{side}Leg"]] - at[JOINT[f"{side}UpLeg"]])
        shin = np.linalg.norm(at[JOINT[f"{side}Foot"]] - at[JOINT[f"{side}Leg"]])
        away = ankle - hip
        distance = np.linalg.norm(away, axis=1)
        flex = np.arccos((thigh**2 + distance**2 - shin**2) / (2 * thigh * distance))
        lean = np.arctan2(away[:, 2], -away[:, 1])
        knee = hip + thigh * np.stack([0 * lean, -np.cos(lean + flex), np.sin(lean + flex)], 1)
        rest_thigh = at[JOINT[f"{side}Leg"]] - at[JOINT[f"{side}UpLeg"]]
        rest_shin = at[JOINT[f"{side}Foot"]] - at[JOINT[f"{side}Leg"]]
        a = in_plane(rest_thigh, knee - hip)
        b = in_plane(rest_shin, ankle - knee)
        q[:, JOINT[f"{side}UpLeg"]] = about_x(a)
        q[:, JOINT[f"{side}Leg"]] = about_x(b - a)
        q[:, JOINT[f"{side}Foot"]] = about_x(-b)
    return Motion(person.skeleton, q, path, Fraction(30))


def in_plane(rest: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """The turn about +X from a rest direction to a bone."""
    return np.arctan2(bone[:, 2], bone[:, 1]) - np.arctan2(rest[2], rest[1])


def about_x(angle: np.ndarray) -> np.ndarray:
    return quaternion_from_vector(np.stack([angle, 0 * angle, 0 * angle], 1))


def without(person: Character, roles: list[str]) -> Character:
    """The same body of which some joints are not told apart."""
    return replace(person, roles={name: joint for name, joint in person.roles.items() if name not in roles})


def test_the_same_body_does_the_same():
    person = box_person()
    motion = wild_motion(person)
    result = retarget_motion(motion, person, person, PLAIN)
    assert np.abs(world(result) - world(motion)).max() < 1e-9
    assert result.frame_rate == motion.frame_rate


def test_clean_steps_are_left_alone():
    person = box_person()
    motion = steps(person)
    result = retarget_motion(motion, person, person)
    assert np.abs(world(result)[..., :3, 3] - world(motion)[..., :3, 3]).max() < 1e-6


def test_any_rest_pose_gives_the_same_joints():
    """A-pose, bent elbows, straddled legs, turned-out feet, and joints with arbitrary axes."""
    person = box_person()
    motion = wild_motion(person)
    turns = {
        "LeftArm": np.array([0, 0, -0.8]), "RightArm": np.array([0, 0, 0.8]), "LeftForeArm": np.array([0.1, -0.4, 0]),
        "LeftUpLeg": np.array([0, 0, 0.25]), "LeftFoot": np.array([0, 0, -0.25]),
        "RightUpLeg": np.array([-0.2, 0, 0]), "RightLeg": np.array([0.3, 0, 0]), "RightFoot": np.array([-0.1, 0, 0]),
    }  # fmt: skip
    frames = Rotation.random(22, rng=np.random.default_rng(1)).as_matrix()
    posed = in_rest_pose(person, turns, frames)
    result, truth = world(retarget_motion(motion, person, posed, PLAIN))[..., :3, 3], world(motion)[..., :3, 3]
    assert np.abs(result - result[:, :1] - truth + truth[:, :1]).max() < 1e-6
    # The path is scaled by the bodies' heights, which change a little with the pose of the legs.
    assert np.abs(result - truth).max() < 0.02
    # Without adaptation the A-pose adds itself to the motion.
    naive = world(retarget_motion(motion, person, posed, RetargetConfig(adapt=False)))[..., :3, 3]
    assert np.abs(naive - world(motion)[..., :3, 3]).max() > 0.2


def test_feet_stay_flat_whatever_the_rest_pose_of_the_legs():
    person = box_person()
    motion = steps(person)
    turns = {"LeftUpLeg": np.array([0, 0, 0.3]), "LeftFoot": np.array([0, 0, -0.3])}
    posed = in_rest_pose(person, turns, np.tile(np.eye(3), (22, 1, 1)))
    result = retarget_motion(motion, person, posed, PLAIN)
    rest = rest_pose(posed.skeleton.parents, posed.skeleton.T_parent_joint)
    turn = world(result)[:, JOINT["LeftFoot"], :3, :3] @ rest[JOINT["LeftFoot"], :3, :3].T
    truth = world(motion)[:, JOINT["LeftFoot"], :3, :3]
    assert np.abs(turn - truth).max() < 1e-9


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7])
def test_a_scaled_body_makes_scaled_joints(scale):
    person, other = box_person(), box_person(scale)
    motion = wild_motion(person)
    result = world(retarget_motion(motion, person, other, PLAIN))[..., :3, 3]
    assert np.abs(result - scale * world(motion)[..., :3, 3]).max() < 1e-9


@pytest.mark.parametrize("leg", [0.6, 1.0, 1.3])
def test_hips_go_the_way_of_a_larger_or_smaller_world(leg):
    """Over the ground by the ratio of statures, so that the plate fits; above it as the legs are long."""
    person, other = box_person(), box_person(leg=leg)
    motion = steps(person)
    a, b = measure(person), measure(other)
    result, truth = (world(m)[:, JOINT["Hips"], :3, 3] for m in (retarget_motion(motion, person, other, PLAIN), motion))
    # These feet are 0.15 m behind the hips in the mean, of which shorter legs have their own share.
    apart = result[:, [0, 2]] - b.stature_m / a.stature_m * truth[:, [0, 2]]
    assert np.abs(apart).max() < 0.05 and np.ptp(apart, axis=0).max() < 0.01
    bob, their_bob = np.ptp(result[:, 1]), np.ptp(truth[:, 1])
    assert bob == pytest.approx(b.leg_m / a.leg_m * their_bob, abs=0.01)


def sole_points(character, motion):
    """Heel and tip of both feet over time."""
    body = measure(character)
    T = world(motion)
    points = {}
    for side in ("Left", "Right"):
        for point, role in (("heel", "Foot"), ("ball", "Foot"), ("tip", "ToeBase")):
            joint = character.roles[side + role]
            turn = T[:, joint, :3, :3] @ body.R_model_joint[joint].T
            offset = getattr(body.soles[side], point) - body.positions[joint]
            points[side, point] = T[:, joint, :3, 3] + turn @ offset
    return points


@pytest.mark.parametrize("other", [{}, {"leg": 0.5}, {"scale": 0.5, "arm": 1.5}, {"leg": 1.4}], ids=str)
def test_standing_feet_stand(other):
    """An actor's sliding, wavering feet become still feet on the ground, on any body."""
    person, character = box_person(), box_person(**other)
    motion = steps(person, slip_m=0.006)
    bob = 0.03 * np.sin(np.arange(90) / 7.0)
    motion = replace(motion, root_position_m=motion.root_position_m + np.stack([0 * bob, bob, 0 * bob], 1))
    within = (np.arange(90)[:, None] + np.array([0, 15])) % 30
    standing = within < 15
    result = retarget_motion(motion, person, character, ground_contact=standing)
    points = sole_points(character, result)
    for place, side in enumerate(("Left", "Right")):
        both = standing[1:, place] & standing[:-1, place]
        for point in ("heel", "ball", "tip"):
            step = np.linalg.norm(np.diff(points[side, point], axis=0), axis=1)
            assert step[both].max() < 1e-3, (side, point)
            assert np.abs(points[side, point][standing[:, place], 1]).max() < 1e-3
            assert points[side, point][:, 1].min() > -1e-6
    # Between the steps nothing jumps: the fastest point is about as fast as the actor's.
    ratio = measure(character).leg_m / measure(person).leg_m
    fastest = np.abs(np.diff(world(result)[..., :3, 3], axis=0)).max()
    assert fastest < 1.6 * max(ratio, 0.8) * np.abs(np.diff(world(motion)[..., :3, 3], axis=0)).max()


def test_a_rising_heel_turns_about_the_ball():
    person = box_person()
    frames = 30
    q = np.tile(quaternion_from_matrix(np.eye(3)), (frames, 22, 1))
    pitch = np.linspace(0, 0.6, frames)
    q[:, JOINT["LeftFoot"]] = about_x(pitch)
    motion = Motion(person.skeleton, q, np.tile([0.0, 0.95, 0.0], (frames, 1)), Fraction(30))
    result = retarget_motion(motion, person, person, ground_contact=np.ones((frames, 2), bool))
    points = sole_points(person, result)
    heel, ball, tip = (points["Left", point] for point in ("heel", "ball", "tip"))
    assert heel[-1, 1] > 0.05
    assert np.linalg.norm(ball[15:] - ball[15], axis=1).max() < 5e-3
    # The toes stay on the ground beside it.
    assert np.abs(tip[15:, 1]).max() < 5e-3 and min(heel[:, 1].min(), ball[:, 1].min(), tip[:, 1].min()) > -1e-6


def test_hips_come_down_when_legs_do_not_reach():
    """Feet stand far apart, further than the hips' height allows: the hips give way, not the feet."""
    person = box_person()
    motion = steps(person)
    high = 0.09 * np.exp(-(((np.arange(90) - 45) / 12.0) ** 2))
    motion = replace(motion, root_position_m=motion.root_position_m + np.stack([0 * high, high, 0 * high], 1))
    standing = (np.arange(90)[:, None] + np.array([0, 15])) % 30 < 15
    result = retarget_motion(motion, person, person, ground_contact=standing)
    points = sole_points(person, result)
    for place, side in enumerate(("Left", "Right")):
        assert np.abs(points[side, "ball"][standing[:, place], 1]).max() < 1e-3
    hips = world(result)[:, 0, 1, 3]
    assert (motion.root_position_m[:, 1] - hips).max() > 0.02
    assert np.abs(np.diff(hips, 2)).max() < 0.01


def test_feet_never_means_never():
    person = box_person()
    motion = steps(person, slip_m=0.01)
    result = retarget_motion(motion, person, person, RetargetConfig(foot_lock="never"))
    assert np.abs(world(result)[..., :3, 3] - world(motion)[..., :3, 3]).max() < 1e-9


def test_contacts_of_known_steps_are_found():
    person = box_person()
    motion = steps(person, slip_m=0.001)
    found = find_contacts(world(motion), measure(person), 30.0).standing
    truth = (np.arange(90)[:, None] + np.array([0, 15])) % 30 < 15
    assert (found == truth).mean() > 0.85
    inner = np.stack([np.convolve(truth[:, side], np.ones(7), "same") >= 7 for side in range(2)], 1)
    assert found[inner].all()
    lifted = replace(motion, root_position_m=motion.root_position_m + [0, 0.3, 0])
    assert not find_contacts(world(lifted), measure(person), 30.0, "always").standing.any()


@pytest.mark.parametrize(
    "missing",
    [["Neck"], ["Spine1"], ["Spine", "Spine1"], ["LeftShoulder", "RightShoulder"], ["LeftToeBase", "RightToeBase"],
     ["LeftHand", "RightHand"], ["Head", "Neck"], ["LeftFoot", "RightFoot", "LeftToeBase", "RightToeBase"]],
    ids=str,
)  # fmt: skip
def test_missing_parts_are_carried_by_their_neighbours(missing):
    """What is left turns in the world as the actor's does."""
    person = box_person()
    motion = wild_motion(person)
    character = without(person, missing)
    result = world(retarget_motion(motion, person, character, PLAIN))
    truth = world(motion)
    spine = {"Spine", "Spine1", "Spine2"} if set(missing) & {"Spine", "Spine1"} else set()
    for name in set(BODY_JOINTS) - set(missing) - spine:
        assert np.abs(result[:, JOINT[name], :3, :3] - truth[:, JOINT[name], :3, :3]).max() < 1e-9, name
    # Whole retargeting must get through as well.
    assert np.isfinite(world(retarget_motion(motion, person, character))).all()


def test_a_longer_spine_bends_evenly():
    """Of five spine joints three have roles; what lies between them turns between them."""
    person = box_person()
    motion = wild_motion(person)
    result = world(retarget_motion(motion, person, without(person, ["Spine1"]), PLAIN))
    assert np.abs(result[:, JOINT["Spine2"], :3, :3] - world(motion)[:, JOINT["Spine2"], :3, :3]).max() < 1e-9


def test_arms_stay_out_of_a_wide_trunk():
    """An actor with hanging arms; a character whose trunk is as wide as a barrel."""
    person = box_person()
    vertices = person.mesh.vertices.copy()
    trunk = np.isin(person.skin_joints[:, 0], [JOINT[name] for name in ("Hips", "Spine", "Spine1", "Spine2")])
    vertices[trunk, 0] *= 6.0
    vertices[trunk, 2] *= 5.0
    barrel = replace(person, mesh=replace(person.mesh, vertices=vertices))
    frames = 20
    turn = np.zeros((frames, 22, 3))
    turn[:, JOINT["LeftArm"], 2], turn[:, JOINT["RightArm"], 2] = -1.5, 1.5
    motion = Motion(person.skeleton, quaternion_from_vector(turn), np.tile([0.0, 0.95, 0.0], (frames, 1)), Fraction(30))
    half_width = vertices[trunk, 0].max()
    plain = world(retarget_motion(motion, person, barrel, replace(PLAIN, foot_lock="never")))
    clear = world(retarget_motion(motion, person, barrel, RetargetConfig()))
    for side, sign in (("Left", 1), ("Right", -1)):
        hand = JOINT[f"{side}Hand"]
        assert sign * plain[:, hand, 0, 3].max() < half_width
        assert (sign * clear[:, hand, 0, 3]).min() > 0.97 * half_width
    own = world(retarget_motion(motion, person, person, RetargetConfig(foot_lock="never")))
    assert np.abs(own - world(motion)).max() < 1e-6


def test_a_thumb_says_which_way_the_palm_looks():
    """A rig that stands with palms ahead gets them down."""
    person = box_person()
    names = (*BODY_JOINTS, "LeftHandThumb1")
    local = np.concatenate([person.skeleton.T_parent_joint, np.eye(4)[None]])
    local[-1, :3, 3] = (0.03, 0.06, 0.0)
    skeleton = Skeleton(names, (*person.skeleton.parents, JOINT["LeftHand"]), local)
    rig = replace(person, skeleton=skeleton, T_joint_mesh=invert(rest_pose(skeleton.parents, local)))
    motion = replace(wild_motion(person), q_parent_joint=np.tile([1.0, 0, 0, 0], (30, 22, 1)))
    T = world(retarget_motion(motion, person, rig, PLAIN))
    thumb = T[:, -1, :3, 3] - T[:, JOINT["LeftHand"], :3, 3]
    assert np.abs(thumb - [0.03, 0.0, 0.06]).max() < 1e-6
    wrist = T[:, JOINT["LeftHand"], :3, 3] - world(motion)[:, JOINT["LeftHand"], :3, 3]
    assert np.abs(wrist).max() < 1e-6


def test_it_is_quick(shared_data):
    from understudy.characters.rig.character import character_from_rig

    person = box_person()
    knight = character_from_rig(shared_data / "rigs" / "knight.glb")
    motion = steps(person, 300)
    start = process_time()
    result = retarget_motion(motion, person, knight)
    assert process_time() - start < 3.0
    points = sole_points(knight, result)
    assert min(path[:, 1].min() for path in points.values()) > -1e-6


def test_wrong_skeletons_are_refused():
    person = box_person()
    motion = wild_motion(person)
    posed = in_rest_pose(person, {}, Rotation.random(22, rng=np.random.default_rng(1)).as_matrix())
    with pytest.raises(ValueError, match="T-pose"):
        retarget_motion(replace(motion, skeleton=posed.skeleton), person, person)
    with pytest.raises(ValueError, match="LeftLeg"):
        retarget_motion(motion, person, without(person, ["LeftLeg"]))


def test_quaternions_do_not_jump():
    person = box_person()
    motion = wild_motion(person, 90)
    spin = quaternion_from_vector(np.stack([0 * np.arange(90), np.arange(90) * 0.15, 0 * np.arange(90)], 1))
    q = motion.q_parent_joint.copy()
    q[:, 0] = quaternion_multiply(spin, q[:, 0])
    result = retarget_motion(replace(motion, q_parent_joint=q), person, person, PLAIN)
    assert (np.einsum("tji,tji->tj", result.q_parent_joint[1:], result.q_parent_joint[:-1]) > 0).all()
    assert np.abs(matrix_from_quaternion(result.q_parent_joint) - matrix_from_quaternion(q)).max() < 1e-9
