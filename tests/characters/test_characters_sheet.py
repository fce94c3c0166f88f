"""Pictures from behind and from the side give a character its depth, its back and its sides."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from box_person import box_person, finer

from understudy.characters.sheet.painting import Photograph, overlap, painted
from understudy.characters.sheet.sheet import SheetPicture, with_sheet
from understudy.characters.sheet.side import as_deep_as, facing_left
from understudy.core.character import Character, Material
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.skinning import skin_vertices

RED, GREEN, BLUE = (200, 30, 20), (30, 180, 40), (20, 40, 220)
PX = 150.0
RIGHT = {"side": np.array([0.0, 0.0, 1.0]), "back": np.array([-1.0, 0.0, 0.0])}


def person(depth: float = 1.0) -> Character:
    """A person of boxes, red all over, whose depth is scaled."""
    one = box_person()
    mesh, scale = one.mesh, np.array([1.0, 1.0, depth])
    local, bind = one.skeleton.T_parent_joint.copy(), one.T_joint_mesh.copy()
    local[:, :3, 3] *= scale
    bind[:, :3, 3] *= scale
    red = Material(texture=np.full((4, 4, 4), (*RED, 255), np.uint8))
    surface = replace(
        mesh, vertices=mesh.vertices * scale, materials=(red,), face_material=np.zeros_like(mesh.face_material)
    )
    one = replace(one, mesh=surface, skeleton=replace(one.skeleton, T_parent_joint=local), T_joint_mesh=bind)
    return finer(one, 3)


def photographed(character: Character, side: str, colour: tuple[int, int, int]) -> SheetPicture:
    """The silhouette from one side, in one colour: a picture without perspective."""
    across, up = character.mesh.vertices @ RIGHT[side], character.mesh.vertices[:, 1]
    mask = np.zeros((round(up.max() * PX) + 20, round(np.ptp(across) * PX) + 20), bool)
    places, joint = np.stack([across - across.min(), up], -1), character.skin_joints[:, 0]
    for box in (places[joint == own] for own in range(len(character.skeleton))):
        (left, low), (right, high) = np.round(box.min(0) * PX).astype(int), np.round(box.max(0) * PX).astype(int)
        mask[len(mask) - 10 - high : len(mask) - 10 - low, 10 + left : 10 + right] = True
    return SheetPicture(np.where(mask[..., None], colour, 255).astype(np.uint8), mask)


def colours_by_direction(character: Character) -> dict[str, np.ndarray]:
    """The colour in the middle of each face that looks straight to one side."""
    mesh = character.mesh
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    texture = mesh.materials[0].texture
    x, y = (mesh.uv[mesh.faces].mean(1) * texture.shape[1::-1]).astype(int).T
    colours = texture[y, x, :3]
    trunk = np.abs(corners.mean(1)[:, 0]) < 0.2
    ways = {"front": [0, 0, 1], "back": [0, 0, -1], "left": [1, 0, 0], "right": [-1, 0, 0]}
    return {
        name: colours[(normals @ way > 0.99 * np.linalg.norm(normals, axis=1)) & trunk] for name, way in ways.items()
    }


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_side_picture_gives_depth(mirrored):
    flat, true = person(0.4), person()
    side = photographed(true, "side", GREEN)
    if mirrored:
        side = SheetPicture(side.rgb[:, ::-1].copy(), side.mask[:, ::-1].copy())
    assert facing_left(side.mask) == mirrored
    made = with_sheet(flat, None, side)
    for joint in ("Head", "LeftUpLeg", "RightFoot"):
        at, wanted = (np.linalg.inv(one.T_joint_mesh)[one.roles[joint], :3, 3] for one in (made, true))
        assert at == pytest.approx(wanted, abs=0.03), joint
    view = Photograph(side.rgb, photographed(true, "side", GREEN).mask, RIGHT["side"], 0.5)
    assert overlap(flat, view) < 0.7 < 0.85 < overlap(made, view)
    assert made.doubts == ()


def test_joints_and_skin_stay_together():
    made = as_deep_as(person(0.4), photographed(person(), "side", GREEN).mask)
    rest = rest_pose(made.skeleton.parents, made.skeleton.T_parent_joint)
    assert np.abs(rest @ made.T_joint_mesh - np.eye(4)).max() < 1e-9
    moved = skin_vertices(made.mesh.vertices, rest @ made.T_joint_mesh, made.skin_joints, made.skin_weights)
    assert moved == pytest.approx(made.mesh.vertices, abs=1e-9)
    hands = np.abs(made.mesh.vertices[:, 0]) > 0.8
    assert np.ptp(made.mesh.vertices[hands, 2]) == pytest.approx(0.4 * 0.08, abs=1e-6)  # arms keep their thickness


def test_each_picture_paints_what_it_shows_and_the_front_stays():
    true = person()
    made = with_sheet(true, photographed(true, "back", BLUE), photographed(true, "side", GREEN))
    seen = colours_by_direction(made)
    for name, colour in {"front": RED, "back": BLUE, "left": GREEN, "right": GREEN}.items():
        near = np.abs(seen[name].astype(int) - colour).max(1) < 12
        assert near.mean() > (0.99 if name == "front" else 0.5), name  # some are hidden by what lies before them
    assert len(made.skin_weights) == len(made.mesh.vertices)
    assert np.abs(made.mesh.vertices.max(0) - true.mesh.vertices.max(0)).max() < 0.03


def test_what_is_hidden_in_a_picture_is_not_painted_from_it():
    true = person()
    view = Photograph(*vars(photographed(true, "side", GREEN)).values(), RIGHT["side"], 0.6)
    made = painted(true, [view])
    corners = made.mesh.vertices[made.mesh.faces]
    texture = made.mesh.materials[0].texture
    x, y = (made.mesh.uv[made.mesh.faces].mean(1) * texture.shape[1::-1]).astype(int).T
    green = np.abs(texture[y, x, :3].astype(int) - GREEN).max(1) < 12
    assert green[corners[..., 0].max(1) < -0.8].any()
    assert not green[corners[..., 0].min(1) > 0.0].any()  # seen from the right, the left is hidden


def test_another_figures_picture_is_doubted():
    back = photographed(person(), "back", BLUE)
    stout = SheetPicture(back.rgb, cv2.dilate(back.mask.astype(np.uint8), np.ones((1, 61), np.uint8)) > 0)
    (doubt,) = with_sheet(person(), stout, None).doubts
    assert doubt.level == "poor" and "back picture" in doubt.sentence
