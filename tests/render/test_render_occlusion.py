"""How bodies keep the light from all sides from themselves, against what geometry says."""

from dataclasses import replace

import numpy as np
import pytest
from box_person import box_person
from simple_takes import KEY, RATE, camera, rigid, sphere

from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import Motion, Skeleton
from understudy.geometry.rotations import matrix_from_quaternion, quaternion_from_vector
from understudy.render.backends.opengl import OpenGL
from understudy.render.backends.reference import Reference
from understudy.render.occlusion import AmbientOcclusion, unoccluded
from understudy.render.posing import PosedMesh
from understudy.render.renderers import for_silhouettes

ONE = np.ones(3)
AROUND = Light(KEY, np.zeros(3), ONE, ONE)


def grid(corner, across, along, steps):
    """A rectangle of small triangles, which faces across × along."""
    corner, across, along = (np.array(v, float) for v in (corner, across, along))
    i, j = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1), indexing="ij")
    vertices = corner + i.reshape(-1, 1) / steps * across + j.reshape(-1, 1) / steps * along
    first = (np.arange(steps)[:, None] * (steps + 1) + np.arange(steps)).ravel()
    ahead = first + steps + 1
    faces = np.concatenate([np.stack([first, ahead, ahead + 1], 1), np.stack([first, ahead + 1, first + 1], 1)])
    normal = np.cross(across, along)
    return vertices, faces, np.tile(normal / np.linalg.norm(normal), (len(vertices), 1))


def jointed(*parts):
    """A figure with one joint per part, all at the origin."""
    sizes = [len(vertices) for vertices, _, _ in parts]
    firsts = np.cumsum([0, *sizes])
    whole = rigid(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] + first for part, first in zip(parts, firsts, strict=False)]),
        np.concatenate([part[2] for part in parts]),
    )
    count, joints = len(parts), np.repeat(np.arange(len(parts)), sizes)[:, None]
    rest = np.tile(np.eye(4), (count, 1, 1))
    skeleton = Skeleton(tuple(f"j{i}" for i in range(count)), (-1, *[0] * (count - 1)), rest)
    return Character("figure", whole.mesh, skeleton, rest, joints, np.ones((len(joints), 1)))


FLOOR = grid((-1.5, 0, -1.5), (0, 0, 3), (3, 0, 0), 40)
WALL = grid((-1.5, 0, 0), (3, 0, 0), (0, 0.8, 0), 40)
COARSE = grid((-1, 0, -1), (0, 0, 2), (2, 0, 0), 8), grid((-1, 0, -0.5), (2, 0, 0), (0, 0.8, 0), 8)
"""A floor with a wall, of few triangles."""


def posed(character):
    return PosedMesh(character.mesh.vertices, character.mesh.normals)


def test_nothing_stands_before_what_is_round():
    mesh = sphere(0.5, rings=24).mesh
    ball = jointed((mesh.vertices, mesh.faces, mesh.normals), tuple(part[:0] for part in FLOOR))
    assert AmbientOcclusion(ball)(posed(ball)).min() > 0.98


def test_a_wall_hides_from_the_floor_what_its_form_factor_says():
    """Before a long wall of height h, at a distance x, the floor loses (1 − x / √(x² + h²)) / 2 of the light.

    Source: Howell, A catalog of radiation heat transfer configuration factors, B-3.
    """
    figure = jointed(FLOOR, WALL)
    seen = AmbientOcclusion(figure)(posed(figure))[: len(FLOOR[0])]
    x, z = FLOOR[0][:, 0], FLOOR[0][:, 2]
    # Far from the wall's ends, and as far from the wall as the places' spacing.
    inner = (np.abs(x) < 0.4) & (z > 0.2) & (z < 1.2)
    expected = 1 - 0.5 * (1 - z / np.hypot(z, 0.8))
    off = (seen - expected)[inner]
    assert inner.sum() > 50 and np.abs(off).max() < 0.06 and abs(off.mean()) < 0.025
    behind = (np.abs(x) < 0.4) & (z < -0.2) & (z > -1.2)
    assert np.abs(seen[behind] - (1 - 0.5 * (1 + z / np.hypot(z, 0.8)))[behind]).max() < 0.09


def test_what_is_enclosed_gets_next_to_nothing():
    lid = (FLOOR[0] * [1, -1, 1] + [0, 0.3, 0], FLOOR[1][:, ::-1], -FLOOR[2])
    figure = jointed(FLOOR, lid)
    seen = AmbientOcclusion(figure)(posed(figure))[: len(FLOOR[0])]
    assert seen[np.abs(FLOOR[0]).max(1) < 0.6].max() < 0.15


def test_occlusion_follows_the_pose():
    plate = grid((-0.3, 0, -0.3), (0, 0, 0.6), (0.6, 0, 0), 12)
    lid = (plate[0] * [1, -1, 1], plate[1][:, ::-1], -plate[2])
    figure = jointed(plate, lid)
    occlusion, middle = AmbientOcclusion(figure), len(plate[0]) // 2
    seen = []
    for height_m in (0.2, 0.4, 0.8):
        raised = figure.mesh.vertices + np.where(np.arange(2 * len(plate[0])) < len(plate[0]), 0, height_m)[:, None] * [
            0, 1, 0,
        ]  # fmt: skip
        seen.append(occlusion(PosedMesh(raised, figure.mesh.normals))[middle])
    # A square of side a, seen from below its middle at a height h, fills (4 / π) (b / √(1 + b²)) atan(b / √(1 + b²))
    # of the view, with b = a / 2h (Howell, B-4).
    for found, height_m in zip(seen, (0.2, 0.4, 0.8), strict=True):
        b = 0.3 / height_m
        share = b / np.hypot(1, b)
        assert found == pytest.approx(1 - 4 / np.pi * share * np.arctan(share), abs=0.07)


def test_occlusion_moves_and_turns_with_the_figure():
    figure = jointed(FLOOR, WALL)
    occlusion = AmbientOcclusion(figure)
    vertices, normals = figure.mesh.vertices, figure.mesh.normals
    still_there = occlusion(PosedMesh(vertices, normals))
    assert np.array_equal(occlusion(PosedMesh(vertices, normals)), still_there)
    assert np.abs(occlusion(PosedMesh(vertices + [7.0, 0.5, -3.0], normals)) - still_there).max() < 0.01
    turns = matrix_from_quaternion(quaternion_from_vector(np.array([[0.01 * t, 0.03 * t, 0.0] for t in range(12)])))
    frames = np.array([occlusion(PosedMesh(vertices @ R.T, normals @ R.T)) for R in turns])
    flicker = np.abs(frames[1:-1] - 0.5 * (frames[2:] + frames[:-2]))
    assert np.percentile(flicker, 99) < 0.02 and np.abs(frames - still_there).mean() < 0.02


def test_props_sets_and_silhouettes_are_lit_from_all_sides():
    figure = jointed(FLOOR, WALL)
    prop = rigid(figure.mesh.vertices, figure.mesh.faces, figure.mesh.normals)
    assert (unoccluded(prop)(posed(prop)) == 1).all()
    assert (unoccluded(figure, wanted=False)(posed(figure)) == 1).all()
    assert unoccluded(figure)(posed(figure)).min() < 0.7
    for config in (OpenGL(), Reference()):
        assert config.self_occlusion and not for_silhouettes(config).self_occlusion


def of_one(character, **look):
    materials = tuple(replace(material, **look) for material in character.mesh.materials)
    return replace(character, mesh=replace(character.mesh, materials=materials))


def corner_picture(renderer, **look):
    view = camera((0.6, 1.6, 2.2), (0.1, 0.2, 0.0), width=49, height=37, focal_px=60.0)
    return renderer(Take((still_figure(of_one(jointed(*COARSE), **look)),), view, AROUND), 0)


def still_figure(figure):
    q = quaternion_from_vector(np.zeros((1, len(figure.skeleton), 3)))
    return Performance(figure, Motion(figure.skeleton, q, np.zeros((1, 3)), RATE))


def test_corners_are_darker_and_nothing_is_brighter_than_its_surroundings(renderer):
    white = corner_picture(renderer, specular=0.0, base_colour=(0.5, 0.5, 0.5, 1.0))
    inside = white.alpha == 1
    floor = inside & (white.normals[..., 1] > 0.99)
    assert white.colour[floor].min() < 0.42 and white.colour[floor].max() > 0.47
    for look in ({"base_colour": (1.0, 1.0, 1.0, 1.0), "roughness": 0.3}, {"metallic": 1.0, "roughness": 0.2}):
        assert corner_picture(renderer, **look).colour.max() < 1.001
    black = {"base_colour": (0.0, 0.0, 0.0, 1.0), "roughness": 0.9}
    mirrored = corner_picture(renderer, **black).colour[..., 0]
    assert mirrored[floor].min() < 0.8 * np.median(mirrored[floor])


def test_bright_bodies_light_their_own_corners(renderer):
    """In a corner light bounces on: white loses less there than black does, of what each gives back."""
    shares = []
    for albedo in (0.1, 0.9):
        passes = corner_picture(renderer, specular=0.0, base_colour=(albedo, albedo, albedo, 1.0))
        floor = (passes.alpha == 1) & (passes.normals[..., 1] > 0.99)
        shares.append(passes.colour[floor].min() / albedo)
    assert shares[0] < 0.8 and shares[1] > shares[0] + 0.1


def test_renderers_agree_on_a_person(both):
    person = of_one(box_person(), specular=0.5)
    q = quaternion_from_vector(np.zeros((1, len(person.skeleton), 3)))
    motion = Motion(person.skeleton, q, np.array([[0.0, 1.0, 0.0]]), RATE)
    take = Take((Performance(person, motion),), camera((0.7, 1.3, 2.6), (0.0, 0.9, 0.0), width=49, height=75), AROUND)
    opengl, reference = (renderer(take, 0) for renderer in both)
    inside = (opengl.alpha == 1) & (reference.alpha == 1) & (opengl.ids == reference.ids)
    assert inside.sum() > 300
    off = np.abs(opengl.colour - reference.colour).max(-1)[inside]
    assert np.median(off) < 4e-3
    with OpenGL(self_occlusion=False).build() as plain:
        lit = plain(take, 0).colour
    assert (opengl.colour <= lit + 4e-3).all() and (lit - opengl.colour)[inside].max() > 0.03
