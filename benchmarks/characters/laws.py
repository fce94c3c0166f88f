"""What animating a character must not change: its own motion, its rest pose's independence, contacts, the body's parts.

python -m benchmarks.characters.laws --data DATA [--figures NAME …]    # figures of known shape, as they truly are
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from benchmarks.characters.figures import KNOWN, load_figure
from benchmarks.characters.intersections import intersecting
from benchmarks.characters.moving import MOMENTS, MOTIONS, captured, performed, welded
from benchmarks.record import table
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.core.motion import BODY_JOINTS, Motion
from understudy.geometry.rigid import invert
from understudy.geometry.rotations import matrix_from_vector
from understudy.geometry.skinning import skin_vertices
from understudy.render.posing import Poser
from understudy.retarget.pose import CharacterPose
from understudy.retarget.rest import SIDES, measure, moved_by
from understudy.retarget.retarget import retarget_motion

__all__ = ["law_figures"]

MAX_HOVER_M = 0.01
MAX_SLIDE_M_S = 0.05
"""A foot that stands is nearer to the ground, and slower, than this: a film's viewers see more."""
LOWERED_RAD = np.radians(45.0)
"""By how much the arms of a copy in A-pose hang lower than in T-pose."""
ARMS, BODY = ("ForeArm", "Hand"), ("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head")


def law_figures(character: Character, data: Path) -> dict[str, float]:
    """Over the ten motions: joints' largest distances, of the own motion from what is made of it on the own body (for
    bodies of BODY_JOINTS) and between copies in two rest poses; the contacts that are kept; and the moments in which a
    forearm or hand cuts through trunk or head."""
    copy = with_other_arms(character)
    own, copies, kept, through = [], [], [], []
    for name in MOTIONS:
        motion = performed(character, name, data)
        copies.append(farthest_mm(performed(copy, name, data), motion))
        contact = captured(data / "motions" / f"{name}.bvh").ground_contact
        kept.append(contacts_kept(character, motion, contact))
        through.append(arms_through_body(character, motion))
        if character.skeleton.names == BODY_JOINTS and is_canonical(character):
            again = retarget_motion(motion, character, character, ground_contact=contact)
            own.append(farthest_mm(again, motion))
    return ({"own_body_mm": round(max(own), 3)} if own else {}) | {
        "rest_copies_mm": round(max(copies), 3),
        "contact_kept_percent": round(100 * float(np.concatenate(kept).mean()), 2),
        "arm_through_body_percent": round(100 * float(np.concatenate(through).mean()), 1),
    }


def is_canonical(character: Character) -> bool:
    """Whether motions can be read from its joints: identity rest rotations."""
    return bool(np.abs(character.skeleton.T_parent_joint[:, :3, :3] - np.eye(3)).max() < 1e-6)


def farthest_mm(a: Motion, b: Motion) -> float:
    """The largest distance between the same joints."""
    return 1000 * float(np.linalg.norm((a.T_world_joint() - b.T_world_joint())[..., :3, 3], axis=-1).max())


def with_other_arms(character: Character) -> Character:
    """The same body modelled in A-pose, or in T-pose if its arms hang lower than half way between."""
    body, turns = measure(character), {role: np.eye(3)[None] for role in character.roles}
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        if {f"{side}Arm", f"{side}ForeArm"} <= character.roles.keys():
            x, y, _ = body.at(f"{side}ForeArm") - body.at(f"{side}Arm")
            hangs = np.arctan2(-y, sign * x)
            lower = (0.0 if hangs > LOWERED_RAD / 2 else LOWERED_RAD) - hangs
            turn = matrix_from_vector(np.array([0.0, 0.0, -sign * lower]))[None]
            turns |= {side + part: turn for part in ("Arm", "ForeArm", "Hand") if side + part in character.roles}
    pose = CharacterPose.build(body, turns, body.at("Hips")[None])
    T = np.tile(np.eye(4), (len(body.parents), 1, 1))
    T[:, :3, :3], T[:, :3, 3] = pose.D[0] @ body.R_model_joint, pose.p[0]
    vertices = skin_vertices(
        character.mesh.vertices, T @ character.T_joint_mesh, character.skin_joints, character.skin_weights
    )
    local = np.array([X if p < 0 else invert(T[p]) @ X for X, p in zip(T, body.parents, strict=True)])
    return replace(
        character,
        mesh=replace(character.mesh, vertices=vertices),
        skeleton=replace(character.skeleton, T_parent_joint=local),
        T_joint_mesh=invert(T),
    )


def contacts_kept(
    character: Character, motion: Motion, standing: Bool[np.ndarray, "time 2"]
) -> Bool[np.ndarray, " contact"]:
    """Of each frame and foot of the actor that stands, then and in the next frame: whether the character's does."""
    kept = []
    for place, side in enumerate(SIDES):
        points = sole_points(character, motion, side)
        if points is None:
            continue
        speed = np.linalg.norm(np.diff(points, axis=1), axis=2).min(0) * float(motion.frame_rate)
        low = np.abs(points[:, :-1, 1].min(0)) < MAX_HOVER_M
        both = standing[1:, place] & standing[:-1, place]
        kept.append((low & (speed < MAX_SLIDE_M_S))[both])
    return np.concatenate(kept) if kept else np.ones(0, bool)


def sole_points(character: Character, motion: Motion, side: str) -> Float[np.ndarray, "3 time 3"] | None:
    """Where heel, ball and tip of a foot go; None without a foot."""
    body, T = measure(character), motion.T_world_joint()
    if side not in body.soles:
        return None
    sole, foot = body.soles[side], character.roles[f"{side}Foot"]
    paths = []
    for joint, point in ((foot, sole.heel), (foot, sole.ball), (character.roles.get(f"{side}ToeBase", foot), sole.tip)):
        offset = body.R_model_joint[joint].T @ (point - body.positions[joint])
        paths.append(T[:, joint, :3, 3] + T[:, joint, :3, :3] @ offset)
    return np.stack(paths)


def arms_through_body(character: Character, motion: Motion) -> Bool[np.ndarray, " moment"]:
    """Whether a face of forearm or hand cuts through one of trunk or head; those that do so at rest do not count."""
    mesh, poser = character.mesh, Poser(character)
    movers = np.array([role or "" for role in moved_by(character)])
    arm, body = np.isin(movers, [side + part for side in SIDES for part in ARMS]), np.isin(movers, BODY)
    part = np.where(arm[mesh.faces].all(1), 1, np.where(body[mesh.faces].all(1), 2, 0))
    faces, part = mesh.faces[part > 0], part[part > 0]
    corners = welded(mesh.vertices, faces)
    at_rest = intersecting(mesh.vertices[faces], corners, part)
    faces, part, corners = faces[~at_rest], part[~at_rest], corners[~at_rest]
    performance, found = Performance(character, motion), []
    for share in MOMENTS:
        posed = poser(performance, round(share * (len(motion) - 1))).vertices
        found.append(bool(intersecting(posed[faces], corners, part).any()))
    return np.array(found)


def main() -> None:
    """Print a row for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--figures", nargs="*", default=list(KNOWN))
    options = parser.parse_args()
    for name in options.figures:
        character = load_figure(name, options.data).character
        print(table([{"figure": name} | law_figures(character, options.data)]), flush=True)


if __name__ == "__main__":
    main()
