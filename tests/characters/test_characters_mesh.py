"""A mesh of a generator becomes a character: cleaned, turned as its picture shows it, rigged."""

from dataclasses import replace

import numpy as np
import pytest
from box_person import JOINTS_M, box_person, finer

from understudy.characters.mesh.character import character_from_mesh
from understudy.characters.mesh.cleaning import cleaned, welded
from understudy.characters.mesh.registering import register, sample_surface
from understudy.characters.picture.figure import FigureInPicture
from understudy.characters.picture.joints import POINTS, FigureJoints
from understudy.core.character import Material, Mesh
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.rotations import matrix_from_vector

PX = 200.0
"""Pixels a metre."""


def person_mesh() -> Mesh:
    """A person of boxes with a red front and a blue back, whose faces are fine enough to be bound."""
    mesh = finer(box_person(), 4).mesh
    vertices, faces = mesh.vertices, mesh.faces
    used, place = np.unique(vertices.round(9), axis=0, return_inverse=True)
    texture = np.zeros((2, 2, 4), np.uint8)
    texture[:, 0], texture[:, 1] = (60, 60, 200, 255), (200, 60, 40, 255)
    uv = np.column_stack([np.where(used[:, 2] > 0.0, 0.75, 0.25), np.full(len(used), 0.5)])
    ahead = np.tile([[0.0, 0.0, 1.0]], (len(used), 1))
    faces = place.reshape(-1)[faces]
    return Mesh(used, faces, ahead, uv, np.zeros(len(faces), int), (Material(texture=texture),))


def person_picture(mesh: Mesh) -> FigureInPicture:
    """The same person photographed from the front, with true joints."""
    surface = sample_surface(mesh, 200_000)
    low = surface.places.min(0) - 0.1
    x, y = ((surface.places - low) * PX)[:, :2].astype(int).T
    height, width = y.max() + 20, x.max() + 20
    order = np.argsort(surface.places[:, 2])
    rgb, mask = np.full((height, width, 3), 200, np.uint8), np.zeros((height, width), bool)
    rgb[height - 1 - y[order], x[order]] = surface.colours[order]
    mask[height - 1 - y, x] = True
    joint = dict(zip(BODY_JOINTS, joint_places(), strict=True))
    names = {"hips": "Hips", "neck": "Neck", "head": "Head"}
    for side in ("Left", "Right"):
        parts = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot"}
        names |= {f"{side.lower()}_{part}": f"{side}{role}" for part, role in (parts | {"toe": "ToeBase"}).items()}
        joint[f"{side}Tip"] = joint[f"{side}Hand"] + [0.15 if side == "Left" else -0.15, 0, 0]
        names[f"{side.lower()}_hand"] = f"{side}Tip"
    joint["Top"] = np.array([0, 1.75, 0])
    names["head_top"] = "Top"
    points = np.array([(joint[names[name]] - low) * PX for name in POINTS])
    px = np.column_stack([points[:, 0], height - points[:, 1]])
    return FigureInPicture(rgb, mask, FigureJoints(px), True, 1.0, mask.shape)


def joint_places() -> np.ndarray:
    return np.array(
        [
            JOINTS_M[name] if name in JOINTS_M else np.array(JOINTS_M["Left" + name[5:]]) * [-1, 1, 1]
            for name in BODY_JOINTS
        ],
        float,
    )


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return person_mesh()


def turned(mesh: Mesh, R: np.ndarray, scale: float = 1.0) -> Mesh:
    return replace(mesh, vertices=scale * mesh.vertices @ R.T + [1, 2, 3], normals=mesh.normals @ R.T)


def test_crumbs_and_degenerate_faces_go_and_what_lies_on_the_body_stays(mesh):
    corner = np.eye(3) * 0.02
    floating, button = corner + [2, 2, 2], corner + [0, 1.2, 0.06]
    count = len(mesh.vertices)
    extra = np.concatenate([floating, button])
    faces = np.concatenate(
        [mesh.faces, [[count, count + 1, count + 2], [count + 3, count + 4, count + 5], [0, 0, 1], [0, 1, 1]]]
    )
    dirty = Mesh(
        np.concatenate([mesh.vertices, extra]), faces, np.concatenate([mesh.normals, extra]),
        np.concatenate([mesh.uv, extra[:, :2]]), np.zeros(len(faces), int), mesh.materials,
    )  # fmt: skip
    clean = cleaned(dirty)
    assert len(clean.mesh.faces) == len(mesh.faces) + 1
    assert clean.mesh.vertices.max() < 2 and len(clean.remarks) == 1


def test_a_large_mesh_becomes_coarser_without_cracks(mesh):
    seams = Mesh(
        mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3),
        mesh.normals[mesh.faces].reshape(-1, 3), mesh.uv[mesh.faces].reshape(-1, 2), mesh.face_material, mesh.materials,
    )  # fmt: skip
    assert len(np.unique(welded(seams))) == len(np.unique(welded(mesh)))
    coarse = cleaned(mesh, max_vertices=1000).mesh
    assert 300 < len(coarse.vertices) <= 1000
    edges = np.sort(welded(coarse)[coarse.faces][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] >= 2).mean() > 0.99
    assert np.ptp(coarse.vertices, axis=0) == pytest.approx(np.ptp(mesh.vertices, axis=0), abs=0.04)


@pytest.mark.parametrize("degrees", [0, 70, 180, -100])
@pytest.mark.parametrize("z_up", [False, True])
def test_the_front_is_found(mesh, degrees, z_up):
    picture = person_picture(mesh)
    R = matrix_from_vector(np.array([0.0, np.radians(degrees), 0.0]))
    if z_up:
        R = matrix_from_vector(np.array([np.pi / 2, 0.0, 0.0])) @ R
    found = register(sample_surface(turned(mesh, R, 0.01)), picture.rgb, picture.mask)
    assert found.overlap > 0.85
    assert np.degrees(np.arccos(np.clip((np.trace(found.R @ R) - 1) / 2, -1, 1))) < 5


def test_without_colours_the_feet_tell_the_front(mesh):
    picture = person_picture(mesh)
    plain = replace(mesh, materials=(Material(),))
    R = matrix_from_vector(np.array([0.0, np.pi, 0.0]))
    assert register(sample_surface(turned(plain, R)), picture.rgb, picture.mask).R[2, 2] < -0.99


def test_joints_and_skin_of_the_picture_end_up_in_the_mesh(mesh):
    R = matrix_from_vector(np.array([0.0, 2.0, 0.0]))
    made = character_from_mesh(turned(mesh, R, 30.0), person_picture(mesh), 1.79, "box")
    character = made.character
    assert character.height_m == pytest.approx(1.79, abs=1e-6) and character.doubts == ()
    at = np.linalg.inv(character.T_joint_mesh)[:, :3, 3]
    wanted = joint_places() - [0, 0, joint_places()[0, 2]]
    for name in ("Hips", "Neck", "LeftForeArm", "RightHand", "LeftLeg", "RightFoot"):
        assert np.linalg.norm(at[character.roles[name]] - wanted[BODY_JOINTS.index(name)]) < 0.05, name
    strongest = character.skin_joints[np.arange(len(character.skin_joints)), character.skin_weights.argmax(1)]
    vertices = character.mesh.vertices
    regions = {
        "Head": vertices[:, 1] > 1.65, "LeftHand": vertices[:, 0] > 0.82, "RightHand": vertices[:, 0] < -0.82,
        "LeftLeg": (np.abs(vertices[:, 1] - 0.3) < 0.08) & (vertices[:, 0] > 0),
        "RightToeBase": (vertices[:, 2] > 0.17) & (vertices[:, 0] < 0),
    }  # fmt: skip
    for role, region in regions.items():
        assert region.any() and (strongest[region] == character.roles[role]).mean() > 0.9, role


def test_another_figures_mesh_is_doubted(mesh):
    wide = replace(mesh, vertices=mesh.vertices * [3.0, 1.0, 3.0], materials=(Material(),))
    sentences = " ".join(
        doubt.sentence for doubt in character_from_mesh(wide, person_picture(mesh), 1.7, "b").character.doubts
    )
    assert "From no side" in sentences and "no colours" in sentences
