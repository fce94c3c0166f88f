"""From one picture to a character: cut out, find the joints, inflate, paint, rig."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.characters.picture.face import carve_face
from understudy.characters.picture.figure import FigureInPicture, find_figure
from understudy.characters.picture.hands.fingers import add_hands, seen_hand, without_mitten
from understudy.characters.picture.inflate import SIDES, InflateConfig, inflate_parts
from understudy.characters.picture.joints import POINTS
from understudy.characters.picture.legs import complete_legs
from understudy.characters.picture.loose_parts.finding import loose_at, loose_parts
from understudy.characters.picture.paint.atlas import paint
from understudy.characters.picture.parts import figure_grid, label_parts
from understudy.characters.picture.posture import doubts_about
from understudy.characters.picture.volume import OUT_OF_THE_PICTURE, surface_of_parts
from understudy.characters.picture.weights import skin
from understudy.characters.protocol import FaceFinder, HandFinder, LandmarkDetector, without_face, without_hand
from understudy.characters.spring_joints import with_spring_joints
from understudy.characters.twist_joints import with_twist_joints
from understudy.core.character import Character, Material, Mesh
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Skeleton
from understudy.geometry.meshes import vertex_normals
from understudy.geometry.rigid import transform_from
from understudy.runtime.checks import check_options
from understudy.runtime.progress import Progress, silent

__all__ = ["PictureConfig", "canonical_character", "character_from_picture", "place_joints"]


@dataclass(frozen=True)
class PictureConfig:
    """How a picture becomes a character."""

    height_m: float = 1.7
    """How tall the figure stands in metres, from its soles to the top of what it wears on its head."""
    joints: Path | None = None
    """Joints placed by hand, where the landmark model does not see the figure: see joints.read_joints."""
    mask: Path | None = None
    """A cut-out made by hand: a grey picture of the same size, white on the figure."""
    complete_legs: bool = True
    """Carry legs that the picture's lower edge cuts off on to feet."""
    vertices: int = 18_000
    """About how many vertices the mesh has."""
    texture_px: int = 2048
    """Longest side of the texture."""
    inflate: InflateConfig = field(default_factory=InflateConfig)

    def __post_init__(self) -> None:
        check_options(self, height_m=(0.05, 20), vertices=(500, 1_000_000), texture_px=(16, 8192))


def not_watched(found: FigureInPicture) -> None:
    """Where nobody looks."""


def character_from_picture(
    path: Path,
    detect: LandmarkDetector,
    config: PictureConfig = PictureConfig(),
    progress: Progress = silent,
    watch: Callable[[FigureInPicture], None] = not_watched,
    find_face: FaceFinder = without_face,
    find_hand: HandFinder = without_hand,
) -> Character:
    """A textured, closed, rigged character from one picture of a whole figure that faces the camera.

    Its rest pose is the pose in the picture; its joints are those of BODY_JOINTS, with rest rotations along the
    world's axes, twist joints on its arms, and springs under what hangs loose. `watch` is told which figure was found;
    of a face that `find_face` sees the head gets the relief, and hands that `find_hand` sees have fingers.

    Raises:
        PictureError: the picture cannot be read.
        CharacterError: it shows no figure whose joints can be found.
    """
    steps = 6
    progress(0, steps)
    found = find_figure(path, detect, config.joints, config.mask)
    watch(found)
    progress(1, steps)
    rgb, figure, joints = found.rgb, found.mask, found.joints
    if config.complete_legs:
        rgb, figure, joints = complete_legs(rgb, figure, joints)
    doubts = doubts_about(found.mask, found.joints, len(figure) > len(found.mask), found.by_hand)
    progress(2, steps)
    grid = figure_grid(rgb, figure, joints, _cells_for(figure, config.vertices))
    parts = loose_parts(grid, label_parts(grid))
    volumes, depths = inflate_parts(grid, parts, config.inflate)
    progress(3, steps)
    seen = {side: find_hand(rgb, joints[f"{side}_elbow"], joints[f"{side}_wrist"]) for side in SIDES}
    hands = [
        hand
        for side in SIDES
        if (hand := seen_hand(grid, rgb, figure, parts.labels, volumes[f"{side}_arm"], side, seen[side])) is not None
    ]
    stumps = {hand.part: without_mitten(volumes[hand.part], hand) for hand in hands}
    vertices, faces, part_at = surface_of_parts(grid, volumes | stumps, config.inflate, parts)
    face = None if joints.face_px is None else find_face(rgb, joints.face_px)
    if face is not None:
        face = (face - (*grid.origin_px, 0.0)) / grid.cell_px
    vertices = carve_face(grid, vertices, vertex_normals(vertices, faces, OUT_OF_THE_PICTURE), part_at, face)
    vertices, faces, part_at = add_hands(((hand, volumes[hand.part]) for hand in hands), vertices, faces, part_at)
    progress(4, steps)
    towards = vertex_normals(vertices, faces, OUT_OF_THE_PICTURE)
    painted = paint(grid, parts.labels, rgb, figure, vertices, towards, faces, part_at, config.texture_px)
    old = painted.old
    progress(5, steps)
    loose = loose_at(parts, vertices, part_at)
    to_metres = config.height_m / np.ptp(vertices[:, 1])
    points = np.stack([grid.points[:, 0], -grid.points[:, 1], depths], -1)
    joints_m, tips_m = place_joints(points)
    shift = np.array([joints_m[0, 0], vertices[:, 1].min(), joints_m[0, 2]])
    vertices, joints_m, tips_m = ((v - shift) * to_metres for v in (vertices, joints_m, tips_m))
    skin_joints, skin_weights = skin(vertices, faces, part_at, joints_m, tips_m)
    normals = vertex_normals(vertices, faces, OUT_OF_THE_PICTURE)
    mesh = Mesh(
        vertices[old], painted.faces, normals[old], painted.uv, np.zeros(len(faces), np.int64),
        (Material(name=path.stem, texture=painted.texture, specular=0.0),),
    )  # fmt: skip
    progress(6, steps)
    character = canonical_character(path.stem, mesh, joints_m, skin_joints[old], skin_weights[old])
    return replace(with_spring_joints(with_twist_joints(character), loose[old]), doubts=doubts)


def _cells_for(figure: Bool[np.ndarray, "height width"], vertices: int) -> int:
    """How many cells tall the grid must be: the surface grows with the silhouette's area."""
    tall = np.ptp(np.flatnonzero(figure.any(1))) + 1
    share = figure.sum() / tall**2
    return int(np.clip(np.sqrt(vertices / (4.6 * share)), 80, 190))


def canonical_character(
    name: str, mesh: Mesh, joints_m: Float[np.ndarray, "22 3"], skin_joints: np.ndarray, skin_weights: np.ndarray
) -> Character:
    """A mesh on the skeleton of BODY_JOINTS, whose rest rotations are the world's axes."""
    eye = np.broadcast_to(np.eye(3), (len(joints_m), 3, 3))
    parents = np.array(BODY_PARENTS)
    offsets = joints_m - np.where(parents[:, None] >= 0, joints_m[parents], 0)
    skeleton = Skeleton(BODY_JOINTS, BODY_PARENTS, transform_from(eye, offsets))
    roles = {part: index for index, part in enumerate(BODY_JOINTS)}
    return Character(name, mesh, skeleton, transform_from(eye, -joints_m), skin_joints, skin_weights, roles)


def place_joints(
    points: Float[np.ndarray, "20 3"],
) -> tuple[Float[np.ndarray, "22 3"], Float[np.ndarray, "22 3"]]:
    """The joints of BODY_JOINTS from the figure's points, and where each one's bone ends."""
    point = dict(zip(POINTS, points, strict=True))
    joint = {"Hips": point["hips"], "Neck": point["neck"], "Head": point["head"]}
    for name, share in (("Spine", 0.18), ("Spine1", 0.42), ("Spine2", 0.68)):
        joint[name] = point["hips"] + share * (point["neck"] - point["hips"])
    tip = {"Head": point["head_top"]}
    for side in ("Left", "Right"):
        low = side.lower()
        shoulder = point[f"{low}_shoulder"]
        joint[f"{side}Shoulder"] = joint["Spine2"] + 0.55 * (point["neck"] - joint["Spine2"])
        joint[f"{side}Shoulder"] = joint[f"{side}Shoulder"] + 0.2 * (shoulder - joint[f"{side}Shoulder"])
        joint[f"{side}Arm"], joint[f"{side}ForeArm"] = shoulder, point[f"{low}_elbow"]
        joint[f"{side}Hand"], tip[f"{side}Hand"] = point[f"{low}_wrist"], point[f"{low}_hand"]
        joint[f"{side}UpLeg"], joint[f"{side}Leg"] = point[f"{low}_hip"], point[f"{low}_knee"]
        ankle, toe = point[f"{low}_ankle"], point[f"{low}_toe"]
        joint[f"{side}Foot"] = ankle
        foot = toe - ankle
        drop = max(np.linalg.norm(foot), 1e-6)
        forward = foot + np.array([0.0, 0.0, 1.0]) * drop
        joint[f"{side}ToeBase"] = ankle + 0.75 * forward
        tip[f"{side}ToeBase"] = ankle + 1.3 * forward
    children = {name: [] for name in BODY_JOINTS}
    for child, parent in enumerate(BODY_PARENTS):
        if parent >= 0:
            children[BODY_JOINTS[parent]].append(BODY_JOINTS[child])
    # The first child carries a chain on: Hips → Spine, Spine2 → Neck.
    ends = [tip[name] if name in tip else joint[children[name][0]] for name in BODY_JOINTS]
    return np.stack([joint[name] for name in BODY_JOINTS]), np.stack(ends)
