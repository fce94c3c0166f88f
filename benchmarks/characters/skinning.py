"""How well our body is skinned: bound anew as characters of pictures are, and by Blender's automatic weights."""

import subprocess
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.characters.moving import MOMENTS, MOTIONS, actor, captured
from understudy.body.model import SEGMENTS, BodyModel
from understudy.characters.picture.bone_weights import bone_ends, part_of
from understudy.characters.picture.parts import PARTS
from understudy.characters.picture.weights import skin
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS
from understudy.io.blender.convert import blender_command

INSIDE_BLENDER = Path(__file__).with_name("skinning_blender.py")


def skinning_figures(data: Path, out: Path) -> dict[str, float | str]:
    """Our body model bound anew to its own joints, against its true skin weights.

    Distances of the vertices over the ten motions, in mm; the same of Blender's weights, where there is a Blender
    (the command, or what UNDERSTUDY_BLENDER names).
    """
    model, body = BodyModel.load(), actor()
    segments = [SEGMENTS[segment] for segment in model.vertex_segment]
    outside = ~np.isin(segments, ["eyes", "tongue"])
    faces = body.mesh.faces[outside[body.mesh.faces].all(1)]
    used, renumbered = np.unique(faces, return_inverse=True)
    vertices, faces = body.mesh.vertices[used], renumbered.reshape(-1, 3)
    truth = dense(body.skin_joints, body.skin_weights)
    T_rest = np.linalg.inv(body.T_joint_mesh)
    joints, tips = T_rest[:, :3, 3], bone_ends(T_rest, body, truth)
    part_at = np.array([PARTS.index(part_of(segments[vertex])) for vertex in used])
    ours = dense(*skin(vertices, faces, part_at, joints, tips))
    rows = {"skinning": ours - truth[used]}
    figures: dict[str, float | str] = {}
    if (command := blender_command()) is not None:
        arrays, weights = out / "body.npz", out / "weights.npz"
        np.savez(arrays, vertices=vertices, faces=faces, joints=joints, tips=tips, parents=np.array(BODY_PARENTS))
        subprocess.run([*command, str(INSIDE_BLENDER), "--", str(arrays), str(weights)], check=True)
        with np.load(weights) as found:
            theirs, figures["blender"] = found["weights"], str(found["version"])
        rows["blender"] = theirs / np.maximum(theirs.sum(1, keepdims=True), 1e-9) - truth[used]
    points = np.concatenate([vertices, np.ones((len(vertices), 1))], 1)
    for name, difference in rows.items():
        errors = []
        for motion in (captured(data / "motions" / f"{name}.bvh").motion for name in MOTIONS):
            for T in motion.T_world_joint()[[round(share * (len(motion) - 1)) for share in MOMENTS]]:
                moved = np.einsum("jab,vb->vja", (T @ body.T_joint_mesh)[:, :3], points)
                errors.append(np.linalg.norm(np.einsum("vj,vja->va", difference, moved), axis=1))
        figures |= {
            f"{name}_mean_mm": round(1000 * float(np.mean(errors)), 2),
            f"{name}_max_mm": round(1000 * float(np.max(errors)), 1),
        }
    return figures


def dense(
    joints: Float[np.ndarray, "vertex influence"], weights: Float[np.ndarray, "vertex influence"]
) -> Float[np.ndarray, "vertex 22"]:
    """The weight of every joint for each vertex."""
    table = np.zeros((len(joints), len(BODY_JOINTS)))
    np.add.at(table, (np.arange(len(joints))[:, None], joints), weights)
    return table
