"""Laws of animating a character, on known truth: one's own motion comes back; the rest pose does not matter."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from box_person import box_person
from rest_poses import in_rest_pose
from scipy.spatial import ConvexHull

from benchmarks.characters.laws import arms_through_body, with_other_arms
from understudy.body.model import BodyModel
from understudy.characters.rig.character import character_from_rig
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.core.motion import BODY_JOINTS, Motion, Skeleton
from understudy.core.springs import SpringBone, SpringChain
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rotations import quaternion_from_vector
from understudy.render.posing import Poser
from understudy.retarget.arms import measure_trunk
from understudy.retarget.foot_lock import FootLock
from understudy.retarget.rest import measure, moved_by
from understudy.retarget.retarget import RetargetConfig, retarget_motion
from understudy.studio.mocap import Capture, captured

JOINT = {name: joint for joint, name in enumerate(BODY_JOINTS)}
RATE = Fraction(30)
A_POSE = {"LeftArm": np.array([0, 0, -0.8]), "RightArm": np.array([0, 0, 0.8])}


@pytest.fixture(scope="module")
def person() -> Character:
    model = BodyModel.load()
    return model.character(model.shape_for_height(1.75))


@pytest.fixture(scope="module")
def take(person, shared_data) -> Callable[[str], Capture]:
    def take(name: str) -> Capture:
        return captured(shared_data / "motions" / f"{name}.bvh", person, Fraction(12), 120)

    return take


def joints(motion: Motion) -> np.ndarray:
    return motion.T_world_joint()[..., :3, 3]


@pytest.mark.parametrize("name", ["bandai1_slash_normal_001", "bandai1_run_normal_001", "fair_wave_hello"])
def test_an_own_motion_comes_back(name, person, take):
    done = take(name)
    again = retarget_motion(done.motion, person, person, ground_contact=done.ground_contact)
    assert np.abs(joints(again) - joints(done.motion)).max() < 0.0002


def test_copies_in_other_rest_poses_move_alike(person, take):
    """Arms pass the trunk in this motion, so its shape has to be the same, too."""
    done, copy = take("fair_wave_hello"), in_rest_pose(person, A_POSE)
    t, a = (retarget_motion(done.motion, person, body, ground_contact=done.ground_contact) for body in (person, copy))
    assert np.abs(joints(t) - joints(a)).max() < 0.001
    fat = widened(person, 1.5)
    t, a = (
        retarget_motion(done.motion, person, body, ground_contact=done.ground_contact)
        for body in (fat, in_rest_pose(fat, A_POSE))
    )
    assert np.abs(joints(t) - joints(a)).max() < 0.001


@pytest.mark.parametrize("name", ["bandai1_punch_normal_001", "fair_jumping"])
def test_copies_move_alike_whose_flesh_is_not_the_same(name, person, take):
    """An A-pose by linear skinning, and a T-pose made of that: shoulders and armpits have lost flesh on the way."""
    a = with_other_arms(widened(person, 1.5))
    t = with_other_arms(a)
    chest = of_joints(a, "Spine2")
    assert np.abs(t.mesh.vertices - widened(person, 1.5).mesh.vertices)[chest].max() > 0.005
    done = take(name)
    one, other = (retarget_motion(done.motion, person, body, ground_contact=done.ground_contact) for body in (a, t))
    assert np.abs(joints(one) - joints(other)).max() < 0.001


def widened(person: Character, scale: float) -> Character:
    vertices = person.mesh.vertices * [1, 1, 1]
    trunk = np.isin(person.skin_joints[np.arange(len(vertices)), person.skin_weights.argmax(1)], range(6))
    vertices[trunk] *= [scale, 1, scale]
    return replace(person, mesh=replace(person.mesh, vertices=vertices))


@pytest.mark.parametrize("rig", ["knight", "xbot"])
def test_limbs_keep_their_lengths(rig, person, take, shared_data):
    character = character_from_rig(shared_data / "rigs" / f"{rig}.glb")
    done = take("bandai1_punch_normal_001")
    p = joints(retarget_motion(done.motion, person, character, RetargetConfig(foot_lock="always")))
    rest = measure(character).positions
    for joint, parent in enumerate(character.skeleton.parents):
        if parent >= 0:
            length = np.linalg.norm(p[:, joint] - p[:, parent], axis=1)
            assert np.abs(length - np.linalg.norm(rest[joint] - rest[parent])).max() < 1e-6


def still(person: Character, turns: dict[str, list[float]]) -> Motion:
    """Ten frames in one pose."""
    turn = np.zeros((10, 22, 3))
    for name, vector in turns.items():
        turn[:, JOINT[name]] = vector
    hips = person.skeleton.T_parent_joint[0, :3, 3]
    return Motion(person.skeleton, quaternion_from_vector(turn), np.tile(hips, (10, 1)), RATE)


def hand(motion: Motion) -> np.ndarray:
    """The middle of the left hand."""
    elbow, wrist = (joints(motion)[5, JOINT[name]] for name in ("LeftForeArm", "LeftHand"))
    return wrist + 0.35 * (wrist - elbow)


def gap_m(character: Character, motion: Motion, parts: tuple[str, ...]) -> float:
    """From the middle of the left hand to the nearest vertex of some parts."""
    mine = np.isin(moved_by(character), parts)
    vertices = Poser(character)(Performance(character, motion), 5).vertices[mine]
    return float(np.linalg.norm(vertices - hand(motion), axis=1).min())


TOUCHES = {
    "hip": (("Hips", "Spine"), {"LeftArm": [0, -0.03, -0.6], "LeftForeArm": [0, -0.07, -1.57]}),
    "belly": (("Spine", "Spine1"), {"LeftArm": [0, -0.41, -0.69], "LeftForeArm": [0, -0.97, -1.67]}),
    "head": (("Head",), {"LeftArm": [-0.06, -0.04, 0.44], "LeftForeArm": [0, -0.31, 2.23]}),
}


@pytest.mark.parametrize("place", TOUCHES)
@pytest.mark.parametrize("widen", [1.35, 0.75])
def test_hands_that_touch_the_body_still_do(place, widen, person):
    """On a body whose trunk and head are wider or narrower."""
    parts, turns = TOUCHES[place]
    motion = still(person, turns)
    before = gap_m(person, motion, parts)
    assert before < 0.07, "the actor is to touch"
    other = widened(person, widen)
    plain = retarget_motion(motion, person, other, RetargetConfig(clear_arms=False))
    assert abs(gap_m(other, plain, parts) - before) > 0.012
    assert abs(gap_m(other, retarget_motion(motion, person, other), parts) - before) < 0.01


def test_hands_that_meet_still_do():
    """On a body with longer arms, which would cross."""
    actor, other = box_person(), box_person(arm=1.4)
    turns = {
        "LeftArm": [0, -0.9, 0],
        "RightArm": [0, 0.9, 0],
        "LeftForeArm": [0, -1.75, 0],
        "RightForeArm": [0, 1.75, 0],
    }
    motion = still(actor, turns)

    def apart(motion: Motion) -> float:
        p = joints(motion)[5]
        ends = [
            p[JOINT[f"{side}Hand"]] + 0.35 * (p[JOINT[f"{side}Hand"]] - p[JOINT[f"{side}ForeArm"]])
            for side in ("Left", "Right")
        ]
        return float(np.linalg.norm(ends[0] - ends[1]))

    assert apart(motion) < 0.1
    plain = retarget_motion(motion, actor, other, RetargetConfig(clear_arms=False))
    assert abs(apart(plain) - apart(motion)) > 0.05
    assert abs(apart(retarget_motion(motion, actor, other)) - apart(motion)) < 0.01


def sliding(person: Character, speed_m_s: float, height_m: float = 0.0, frames: int = 45) -> Motion:
    """A person who stands in the rest pose and is moved ahead, bobbing by a centimetre."""
    t = np.arange(frames) / float(RATE)
    hips = person.skeleton.T_parent_joint[0, :3, 3]
    path = hips + np.stack([0 * t, height_m + 0.01 * np.sin(9 * t), speed_m_s * t], 1)
    return Motion(person.skeleton, np.tile([1.0, 0, 0, 0], (frames, 22, 1)), path, RATE)


def soles(character: Character, motion: Motion) -> np.ndarray:
    """Where the balls of both feet are: time side xyz."""
    body, T = measure(character), motion.T_world_joint()
    places = []
    for side in ("Left", "Right"):
        joint = character.roles[f"{side}Foot"]
        offset = body.R_model_joint[joint].T @ (body.soles[side].ball - body.positions[joint])
        places.append(T[:, joint, :3, 3] + T[:, joint, :3, :3] @ offset)
    return np.stack(places, 1)


@pytest.mark.parametrize("speed_m_s", [0.2, 3.0])
@pytest.mark.parametrize("leg", [0.6, 1.3])
def test_feet_that_glide_stay_on_the_ground_and_go_on(speed_m_s, leg):
    actor, character = box_person(), box_person(leg=leg)
    result = soles(character, retarget_motion(sliding(actor, speed_m_s), actor, character))
    assert np.abs(result[..., 1]).max() < 1e-3
    size = measure(character).stature_m / measure(actor).stature_m
    assert result[-1, 0, 2] - result[0, 0, 2] == pytest.approx(size * speed_m_s * 44 / 30, rel=0.05)


@pytest.mark.parametrize(("lock", "held", "level"), [
    ("auto", True, True), ("always", True, True), ("ground", False, True), ("never", False, False)
])  # fmt: skip
def test_foot_locks(lock: FootLock, held: bool, level: bool):
    """A standing actor who wavers from side to side, and up and down."""
    actor, character = box_person(), box_person(leg=1.2)
    motion = sliding(actor, 0.0)
    t = np.arange(len(motion)) / float(RATE)
    wavering = motion.root_position_m + np.stack([0.02 * np.sin(7 * t), 0 * t, 0 * t], 1)
    motion = replace(motion, root_position_m=wavering)
    result = soles(character, retarget_motion(motion, actor, character, RetargetConfig(foot_lock=lock)))
    assert (np.ptp(result[..., 0], axis=0).max() < 1e-3) == held
    assert (np.abs(result[..., 1]).max() < 1e-3) == level


def test_doubtful_contacts_are_held_only_on_demand():
    """A fit that has its actor hover by five centimetres."""
    actor = box_person()
    motion = sliding(actor, 0.0, height_m=0.05)
    auto, always, ground = (
        soles(actor, retarget_motion(motion, actor, actor, RetargetConfig(foot_lock=lock)))
        for lock in ("auto", "always", "ground")
    )
    assert auto[..., 1].min() > 0.03
    assert max(np.abs(always[..., 1]).max(), np.abs(ground[..., 1]).max()) < 1e-3


def with_box_for_a_head(person: Character, half_m: float) -> Character:
    """A square head that rests on the neck, as wide below as above: helmets, hoods, manes."""
    vertices, joint = person.mesh.vertices.copy(), -person.T_joint_mesh[JOINT["Head"], :3, 3]
    head = of_joints(person, "Head")
    away = vertices[head] - vertices[head].mean(0)
    vertices[head] = joint + [0, half_m, 0] + half_m * away / np.abs(away).max(1, keepdims=True)
    return replace(person, mesh=replace(person.mesh, vertices=vertices))


def of_joints(character: Character, *names: str) -> np.ndarray:
    strongest = character.skin_joints[np.arange(len(character.mesh.vertices)), character.skin_weights.argmax(1)]
    return np.isin(strongest, [JOINT[name] for name in names])


@pytest.mark.parametrize(("make", "name", "max_moments"), [
    (lambda person: widened(person, 1.5), "bandai1_slash_normal_001", 5),
    (lambda person: with_box_for_a_head(person, 0.25), "bandai1_punch_normal_001", 6),
])  # fmt: skip
def test_arms_stay_out_of_a_wide_trunk_and_of_a_large_head(make, name, max_moments, person, take):
    """In most of ten moments; fists that are held before the face are left in it for some."""
    done, character = take(name), make(person)
    motion = retarget_motion(done.motion, person, character, ground_contact=done.ground_contact)
    assert arms_through_body(character, motion).sum() <= max_moments


@pytest.mark.parametrize("turn", [(0, 0, 0.8), (0.6, 0.4, -0.5)])
def test_a_head_three_times_as_large_does_not_sink_into_the_shoulders(person, turn):
    large, frames = with_box_for_a_head(person, 0.3), 24
    turns = np.zeros((frames, 22, 3))
    turns[:, [JOINT["Neck"], JOINT["Head"]]] = 0.5 * np.sin(np.linspace(0, np.pi, frames))[:, None, None] * turn
    hips = np.tile(person.skeleton.T_parent_joint[0, :3, 3], (frames, 1))
    motion = Motion(person.skeleton, quaternion_from_vector(turns), hips, Fraction(24))

    def sunk_m(config: RetargetConfig) -> float:
        performance = Performance(large, retarget_motion(motion, person, large, config))
        head, chest = of_joints(large, "Head"), of_joints(large, "Spine2", "LeftArm", "RightArm")
        depth = []
        for mesh in (large.mesh, Poser(large)(performance, frames // 2)):
            hull = ConvexHull(mesh.vertices[head]).equations
            depth.append(-(mesh.vertices[chest] @ hull[:, :3].T + hull[:, 3]).max(1))
        return float((depth[1] - np.maximum(depth[0], 0)).max())

    assert sunk_m(RetargetConfig(clear_arms=False)) > 0.05
    assert sunk_m(RetargetConfig()) < 0.025


def test_a_head_of_the_actors_size_nods_as_theirs(person):
    turns = np.zeros((24, 22, 3))
    turns[:, JOINT["Head"]] = np.sin(np.linspace(0, np.pi, 24))[:, None] * [0.9, 0, 0.3]
    hips = np.tile(person.skeleton.T_parent_joint[0, :3, 3], (24, 1))
    motion = Motion(person.skeleton, quaternion_from_vector(turns), hips, Fraction(24))
    assert np.abs(retarget_motion(motion, person, person).q_parent_joint - motion.q_parent_joint).max() < 1e-6


def test_long_hair_on_springs_is_no_trunk():
    """Locks that hang from the head to the hips, far out to the sides, do not keep arms away."""
    person = box_person()
    head, hand = person.roles["Head"], len(person.skeleton.names)
    at = rest_pose(person.skeleton.parents, person.skeleton.T_parent_joint)[head, :3, 3]
    skeleton = Skeleton(
        (*person.skeleton.names, "hair"), (*person.skeleton.parents, head),
        np.concatenate([person.skeleton.T_parent_joint, np.eye(4)[None]]),
    )  # fmt: skip
    mesh = person.mesh
    locks = np.array([[side * x, y, z] for side in (-1, 1) for x in (0.3, 0.5) for y in (0.8, 1.6) for z in (0.0, 0.1)])
    first = len(mesh.vertices)
    faces = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 6], [4, 5, 6], [5, 6, 7], [0, 4, 1]])
    faces = np.concatenate([first + faces, first + 8 + faces])
    grown = replace(
        mesh, vertices=np.concatenate([mesh.vertices, locks]), faces=np.concatenate([mesh.faces, faces]),
        normals=np.concatenate([mesh.normals, np.tile([[1.0, 0.0, 0.0]], (16, 1))]),
        uv=np.concatenate([mesh.uv, np.zeros((16, 2))]),
        face_material=np.concatenate([mesh.face_material, np.zeros(12, mesh.face_material.dtype)]),
    )  # fmt: skip
    T_hair = np.eye(4)
    T_hair[:3, 3] = -at
    chain = SpringChain("hair", (SpringBone(hand, (0.0, -0.3, 0.0)),))
    haired = replace(
        person, mesh=grown, skeleton=skeleton, T_joint_mesh=np.concatenate([person.T_joint_mesh, T_hair[None]]),
        skin_joints=np.concatenate([person.skin_joints, np.full((16, 1), hand)]),
        skin_weights=np.concatenate([person.skin_weights, np.ones((16, 1))]), springs=(chain,),
    )  # fmt: skip
    bald, long = (measure_trunk(one, measure(one)) for one in (person, haired))
    for a, b in zip(bald.columns, long.columns, strict=True):
        assert a.role == b.role and np.abs(a.radii - b.radii).max() < 0.01, a.role
    stiff = measure_trunk(replace(haired, springs=()), measure(haired))
    assert max(column.radii[:, 0].max() for column in stiff.columns) > 0.25
