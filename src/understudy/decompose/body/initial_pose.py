"""Where the body fit starts: a pose for every frame, straight from the landmarks."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d, median_filter

from understudy.core.camera import UnscaledCameraPath
from understudy.core.footage import LANDMARKS, LandmarkTrack
from understudy.core.motion import BODY_JOINTS
from understudy.decompose.body.pose_state import JOINT, BodyPoints, PoseState
from understudy.decompose.body.terms import Observations
from understudy.decompose.people.landmark_bias import BONE_MATRIX, BONES
from understudy.geometry.rotations import matrix_from_vector, rotation_between, vector_from_matrix
from understudy.geometry.vectors import unit
from understudy.solvers.losses import cauchy

__all__ = ["exchange_sides", "initial_pose", "observe"]

MARK = {name: index for index, name in enumerate(LANDMARKS)}
TRUST = {"shoulder": 1.0, "elbow": 1.0, "wrist": 1.0, "hip": 0.6, "knee": 1.0, "ankle": 1.0, "heel": 0.5,
         "foot_index": 0.6, "pinky": 0.25, "index": 0.35, "thumb": 0.25, "ear": 0.5, "eye": 0.4, "nose": 0.7,
         "mouth": 0.3}  # fmt: skip
"""How well the landmark model hits each landmark, as a share of the weight of the best."""
_KINDS = [name.removeprefix("left_").removeprefix("right_").split("_")[0] for name in LANDMARKS]
_TRUST = np.array([
    0.1 if name.endswith(("inner", "outer")) else TRUST["foot_index" if name.endswith("foot_index") else kind]
    for name, kind in zip(LANDMARKS, _KINDS, strict=True)
])  # fmt: skip
OUTSIDE_TRUST = 0.02
"""Of landmarks beyond the picture's border: the landmark model guesses them."""


def observe(track: LandmarkTrack, camera: UnscaledCameraPath, T_world_first: Float[np.ndarray, "4 4"]) -> Observations:
    """The landmarks and the camera as the terms want them; the camera's first frame gets the pose `T_world_first`."""
    px = track.landmarks_px
    bones = BONE_MATRIX @ track.landmarks_m
    pixels_per_metre, steady = _picture_scale(track, bones)
    trust = np.clip(track.visibility, 0.0, 1.0) ** 3 * _TRUST * steady[:, None]
    inside = ((px >= 0.0) & (px < [camera.width, camera.height])).all(-1)
    trust = np.where(inside, trust, OUTSIDE_TRUST * trust)
    length = np.maximum(np.linalg.norm(bones, axis=-1), 1e-3)
    ends = np.array([[(row != 0) & (row < 0), row > 0] for row in BONE_MATRIX])
    bone_trust = np.stack([
        np.minimum(*(np.where(end, track.visibility, 1.0).min(-1) for end in pair)) for pair in ends
    ], -1) * steady[:, None]  # fmt: skip
    gain, offset = np.array([(bone.gain, bone.offset) for bone in BONES]).T
    T = T_world_first @ camera.T_world_camera
    return Observations(
        landmarks_px=px,
        trust=trust,
        person_px=np.maximum(1.7 * pixels_per_metre, 20.0),
        bone_depth=np.clip(gain * bones[..., 2] / length + offset, -1.0, 1.0),
        bone_drop=bones[..., 1] / length,
        bone_trust=bone_trust**2,
        K=camera.K,
        R_camera_world=np.swapaxes(T[:, :3, :3], 1, 2),
        camera_position=T[:, :3, 3],
        frame_rate=float(camera.frame_rate),
    )


def _picture_scale(
    track: LandmarkTrack, bones: Float[np.ndarray, "time bone 3"]
) -> tuple[Float[np.ndarray, " time"], Bool[np.ndarray, " time"]]:
    """Pixels per metre at the person, from the lengths of bones in both, and which frames agree with their time.

    A frame whose size jumps by half against the two seconds around it shows a mistake of the landmark model.
    """
    long_bones = [
        row
        for row, bone in enumerate(BONES)
        if bone.name in ("torso", "hips", "shoulders") or bone.name.endswith(("thigh", "shin", "upper_arm"))
    ]
    flat_m = np.linalg.norm(bones[:, long_bones, :2], axis=-1)
    flat_px = np.linalg.norm((BONE_MATRIX @ track.landmarks_px)[:, long_bones], axis=-1)
    scale = np.sqrt((flat_px**2).sum(-1) / np.maximum((flat_m**2).sum(-1), 1e-6))
    frames = np.flatnonzero(track.seen)
    usual = median_filter(scale[frames], min(61, 2 * len(frames) - 1), mode="mirror")
    steady = track.seen.copy()
    steady[frames] = np.abs(np.log(scale[frames] / usual)) < 0.4
    return _smooth(_filled(scale, steady if steady.any() else track.seen), 5), steady


def _filled(values: Float[np.ndarray, "time ..."], seen: np.ndarray) -> Float[np.ndarray, "time ..."]:
    """Values of unseen frames from the seen ones, linear in time."""
    frames = np.arange(len(values))
    flat = values.reshape(len(values), -1)
    columns = [np.interp(frames, frames[seen], column[seen]) for column in flat.T]
    return np.stack(columns, -1).reshape(values.shape)


def _smooth(values: Float[np.ndarray, "time ..."], window: int) -> Float[np.ndarray, "time ..."]:
    """Without outliers (running median), then without steps (Gaussian)."""
    size = (min(window, len(values)),) + (1,) * (values.ndim - 1)
    return gaussian_filter1d(median_filter(values, size, mode="nearest"), window / 4, axis=0, mode="nearest")


def initial_pose(
    track: LandmarkTrack, seen: Observations, points: BodyPoints, shape: Float[np.ndarray, " component"]
) -> PoseState:
    """A pose per frame, in metres from where the camera is in that frame, turned into the world.

    Limbs point as the landmark model says in three dimensions, smoothed over a few frames; the root stands where the
    model's landmarks, at the body's size, project best on the landmarks in the picture.
    """
    marks = _steady_marks(track, seen)
    offsets, _ = points.offsets(shape)
    sizes = [np.linalg.norm(offsets[JOINT[name]]) for name in ("LeftLeg", "LeftFoot", "LeftForeArm", "LeftHand")]
    pairs = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
    found = [
        np.median([np.linalg.norm(marks[:, MARK[f"{s}_{b}"]] - marks[:, MARK[f"{s}_{a}"]], axis=-1)
                   for s in ("left", "right")]) for a, b in pairs
    ]  # fmt: skip
    marks = marks * (sum(sizes) / max(sum(found), 1e-3))
    root_camera = _root_in_camera(marks, seen)
    # The landmark model sees the person on the axis of its own camera: turn that axis into the ray to the person.
    ray = root_camera / np.linalg.norm(root_camera, axis=1, keepdims=True)
    R_world_camera = np.swapaxes(seen.R_camera_world, 1, 2)
    R = R_world_camera @ rotation_between(np.array([0.0, 0.0, 1.0]), ray)
    world = marks @ np.swapaxes(R, 1, 2)
    root = np.einsum("tij,tj->ti", R_world_camera, root_camera)
    return PoseState(root, _joint_turns(world))


def _steady_marks(track: LandmarkTrack, seen: Observations) -> Float[np.ndarray, "time 33 3"]:
    """The model's landmarks in metres without short mistakes.

    Torsos turn slowly: they are smoothed over half a second, so that sides which are exchanged for a few frames do
    not turn the body round. Limbs are smoothed less, relative to the torso.
    """
    steady = seen.trust.sum(1) > 0
    marks = _filled(track.landmarks_m, steady if steady.any() else track.seen)
    torso = [MARK[f"{side}_{part}"] for side in ("left", "right") for part in ("shoulder", "hip")]
    owner = np.array([MARK[_owner(name)] for name in LANDMARKS])
    slow = _smooth(marks, 2 * round(seen.frame_rate / 4) + 1)
    quick = _smooth(marks - marks[:, owner], 2 * round(seen.frame_rate / 10) + 1)
    result = slow[:, owner] + quick
    result[:, torso] = slow[:, torso]
    return result


def _owner(name: str) -> str:
    """The torso landmark to which a landmark belongs."""
    side = "right" if "right" in name else "left"
    leg = any(part in name for part in ("hip", "knee", "ankle", "heel", "foot"))
    return f"{side}_hip" if leg else f"{side}_shoulder"


def _root_in_camera(marks: Float[np.ndarray, "time 33 3"], seen: Observations) -> Float[np.ndarray, "time 3"]:
    """Where the hips' middle must be for the model's landmarks to project on the picture's: linear least squares."""
    f = seen.K[:, None, [0, 1], [0, 1]]
    flat = (seen.landmarks_px - seen.K[:, None, :2, 2]) / f
    weight = seen.trust + 1e-6
    # flat · (Z + z) = XY + xy, in the unknown root (x, y, z).
    A = np.zeros((*marks.shape[:2], 2, 3))
    A[..., 0, 0] = A[..., 1, 1] = 1.0
    A[..., 2] = -flat
    b = flat * marks[..., 2:] - marks[..., :2]
    for _ in range(3):
        normal = np.einsum("tp,tpki,tpkj->tij", weight, A, A) + 1e-9 * np.eye(3)
        root = np.linalg.solve(normal, np.einsum("tp,tpki,tpk->ti", weight, A, b)[..., None])[..., 0]
        error = np.linalg.norm(np.einsum("tpki,ti->tpk", A, root) - b, axis=-1)
        weight = (seen.trust + 1e-6) / (1.0 + (error / 0.1) ** 2)
    root[:, 2] = np.clip(root[:, 2], 0.3, None)
    trusted = seen.trust.sum(1) > 0.5
    if not trusted.any():
        trusted = np.ones(len(root), bool)
    log_depth = _smooth(np.log(_filled(root[:, 2], trusted)), max(5, 2 * round(seen.frame_rate / 6) + 1))
    direction = _filled(root[:, :2] / root[:, 2:], trusted)
    depth = np.exp(log_depth)
    return np.concatenate([direction * depth[:, None], depth[:, None]], 1)


def _frame(exact: Float[np.ndarray, "time 3"], near: Float[np.ndarray, "time 3"], axes: str) -> np.ndarray:
    """Rotations with one axis along `exact` and another as near as can be to `near`; `axes` names both, as "xy"."""
    first = unit(exact)
    second = unit(near - first * (first * near).sum(-1, keepdims=True))
    columns = {axes[0]: first, axes[1]: second}
    missing = ({"x", "y", "z"} - set(axes)).pop()
    order = {"x": "yz", "y": "zx", "z": "xy"}[missing]
    columns[missing] = np.cross(columns[order[0]], columns[order[1]])
    return np.stack([columns[k] for k in "xyz"], -1)


def _angle(a: Float[np.ndarray, "time 3"], b: Float[np.ndarray, "time 3"]) -> Float[np.ndarray, " time"]:
    return np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1))


def _hinge(
    above: Float[np.ndarray, "time 3"], below: Float[np.ndarray, "time 3"], bends_to: Float[np.ndarray, "time 3"]
) -> Float[np.ndarray, "time 3"]:
    """The axis about which `above` turns into `below`; of a limb that is nearly straight, into `bends_to`."""
    return np.cross(unit(above), unit(below)) + 0.2 * np.cross(unit(above), bends_to)


def _joint_turns(marks: Float[np.ndarray, "time 33 3"]) -> Float[np.ndarray, "time 22 3 3"]:
    """Rotations of all joints in their parents, from landmarks in the world."""

    def at(name: str) -> Float[np.ndarray, "time 3"]:
        return marks[:, MARK[name]]

    def middle(part: str) -> Float[np.ndarray, "time 3"]:
        return 0.5 * (at(f"left_{part}") + at(f"right_{part}"))

    local = np.tile(np.eye(3), (len(marks), len(BODY_JOINTS), 1, 1))
    back = middle("shoulder") - middle("hip")
    hips = _frame(back, at("left_hip") - at("right_hip"), "yx")
    chest = _frame(back, at("left_shoulder") - at("right_shoulder"), "yx")
    twist = matrix_from_vector(vector_from_matrix(np.swapaxes(hips, 1, 2) @ chest) / 3)
    local[:, JOINT["Hips"]] = hips
    for name in ("Spine", "Spine1", "Spine2"):
        local[:, JOINT[name]] = twist
    head = _frame(at("left_ear") - at("right_ear"), at("nose") - middle("ear"), "xz")
    nod = vector_from_matrix(np.swapaxes(chest, 1, 2) @ head)
    nod = nod * np.minimum(1.0, 0.8 / np.maximum(np.linalg.norm(nod, axis=-1, keepdims=True), 1e-9))
    local[:, JOINT["Neck"]] = local[:, JOINT["Head"]] = matrix_from_vector(nod / 2)
    x, y, z = np.eye(3)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        upper = at(f"{side}_elbow") - at(f"{side}_shoulder")
        fore = at(f"{side}_wrist") - at(f"{side}_elbow")
        # Elbows bend forwards and up, about −Y of a left T-posed arm and +Y of a right one.
        axis = _hinge(upper, fore, chest @ (z + 0.5 * y))
        arm = _frame(sign * upper, -sign * axis, "xy")
        local[:, JOINT[f"{side.capitalize()}Arm"]] = np.swapaxes(chest, 1, 2) @ arm
        bend = -sign * _angle(upper, fore)[:, None] * y
        local[:, JOINT[f"{side.capitalize()}ForeArm"]] = matrix_from_vector(bend)
        thigh = at(f"{side}_knee") - at(f"{side}_hip")
        shin = at(f"{side}_ankle") - at(f"{side}_knee")
        leg = _frame(-thigh, _hinge(thigh, shin, hips @ -z), "yx")
        local[:, JOINT[f"{side.capitalize()}UpLeg"]] = np.swapaxes(hips, 1, 2) @ leg
        local[:, JOINT[f"{side.capitalize()}Leg"]] = matrix_from_vector(_angle(thigh, shin)[:, None] * x)
    return local


_GROUPS = (
    ("shoulder", "elbow", "wrist", "pinky", "index", "thumb"),
    ("hip", "knee", "ankle", "heel", "foot_index"),
    ("eye_inner", "eye", "eye_outer", "ear"),
)
SWAP_GAIN = 4.0
"""By how many sigmas², over a group of landmarks, exchanged sides must fit better to be exchanged back."""


def exchange_sides(
    track: LandmarkTrack,
    seen: Observations,
    body_px: Float[np.ndarray, "time 33 2"],
    sigma_px: Float[np.ndarray, " time"],
    kernel_scale: float,
) -> tuple[LandmarkTrack, int]:
    """Left and right exchanged where that fits a smooth motion (`body_px`) much better; in how many frames of limbs."""
    order = np.tile(np.arange(len(LANDMARKS)), (len(track), 1))
    swaps = 0
    for parts in _GROUPS:
        left, right = ([MARK[f"{side}_{part}"] for part in parts] for side in ("left", "right"))
        both, other = left + right, right + left
        costs = []
        for taken in (both, other):
            off = (body_px[:, both] - seen.landmarks_px[:, taken]) / sigma_px[:, None, None]
            loss, _ = cauchy(kernel_scale).weighed((off**2).sum(-1))
            costs.append((seen.trust[:, taken] * loss).sum(1))
        wrong = np.flatnonzero(costs[1] < costs[0] - SWAP_GAIN)
        order[wrong[:, None], both] = other
        swaps += len(wrong)
    time = np.arange(len(track))[:, None]
    return replace(
        track,
        landmarks_px=track.landmarks_px[time, order],
        visibility=track.visibility[time, order],
        landmarks_m=track.landmarks_m[time, order],
    ), swaps
