"""The texture of a character of one picture: charts without stretch, cloth that goes on around, shading taken out."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.measure import marching_cubes

from understudy.characters.picture.joints import POINTS
from understudy.characters.picture.paint.atlas import _above_the_eyes, _on_foot
from understudy.characters.picture.paint.charts import MIN_AREA_SHARE, lay_charts, texels_of
from understudy.characters.picture.paint.exemplar import continued
from understudy.characters.picture.paint.front_only import front_only
from understudy.characters.picture.paint.heads import head_behind
from understudy.characters.picture.paint.seen import Seen
from understudy.characters.picture.paint.shading import _cloths, unshaded
from understudy.characters.picture.paint.sides import sides_of
from understudy.characters.picture.paint.wrap import wrap_from
from understudy.characters.picture.parts import PARTS, FigureGrid
from understudy.geometry.meshes import vertex_normals
from understudy.imaging.colour import linear_from_srgb_bytes, srgb_bytes_from_linear

RADII = np.array([14.0, 22.0, 10.0])


@pytest.fixture(scope="module")
def egg() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An ellipsoid's vertices (its middle at x = 30, y = −30), faces and normals."""
    axes = np.mgrid[-30:31, -30:31, -30:31]
    inside = 1 - np.sqrt(sum((axis / radius) ** 2 for axis, radius in zip(axes, RADII, strict=True)))
    vertices, faces, _, _ = marching_cubes(inside, 0.0)
    vertices = vertices.astype(np.float64) - 30
    faces = faces.astype(np.int64)
    if np.einsum("fi,fi->", vertices[faces[:, 0]], np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]])) < 0:
        faces = faces[:, ::-1].copy()
    vertices += [30, -30, 0]
    return vertices, faces, vertex_normals(vertices, faces)


def areas(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Of triangles in the plane or in space."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    if points.shape[1] == 2:
        u, v = b - a, c - a
        return 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def test_no_texel_is_drawn_out(egg):
    vertices, faces, _ = egg
    charts = lay_charts(vertices, faces, np.zeros(len(vertices), np.int64))
    whole = areas(vertices, faces)
    share = areas(charts.place, charts.faces)[whole > 1e-3] / whole[whole > 1e-3]
    assert share.min() > MIN_AREA_SHARE - 1e-6
    assert share.max() < 1 + 1e-6
    np.testing.assert_array_equal(charts.old[charts.faces], faces)


def test_charts_do_not_overlap_and_fill_much_of_the_square(egg):
    vertices, faces, _ = egg
    charts = lay_charts(vertices, faces, np.zeros(len(vertices), np.int64))
    texels = texels_of(charts, 8 * charts.side)
    covered = 64 * areas(charts.place, charts.faces).sum()
    assert len(texels.index) > 0.97 * covered
    assert len(texels.index) > 0.35 * (8 * charts.side) ** 2
    at = np.einsum("tc,tci->ti", texels.share, charts.place[charts.faces[texels.face]]) * 8
    centre = np.stack([texels.index % (8 * charts.side), texels.index // (8 * charts.side)], -1) + 0.5
    assert np.quantile(np.abs(at - centre).max(1), 0.95) < 1.0


def test_unseen_sides_look_where_the_same_cloth_is_seen_at_their_own_level(egg):
    vertices, faces, normals = egg
    seen = normals[:, 2] > 0.57
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), axis=0)
    beside = np.zeros(len(vertices), bool)
    for a, b in ((0, 1), (1, 0)):
        beside[edges[~seen[edges[:, b]], a]] = True
    outer = edges[(~seen | beside)[edges].all(1)]
    step = vertices[outer[:, 0]] - vertices[outer[:, 1]]
    cost = np.hypot(np.linalg.norm(step, axis=1), 4 * step[:, 1])
    row, column = np.mgrid[:60, :60] + 0.5
    depth = 14 * (1 - np.hypot((column - 30) / RADII[0], (row - 30) / RADII[1]))
    left = wrap_from(vertices, normals, outer, cost, seen, seen & beside & (normals[:, 0] < 0), depth)
    along = np.tile([0.0, 1.0], (len(vertices), 1))
    place = vertices[:, :2] * [1, -1]
    looked = left.at_level(place, along).place()
    side = ~seen & (vertices[:, 0] < 29) & (np.abs(vertices[:, 1] + 30) < 10)
    assert side.sum() > 200
    assert np.abs(looked[side, 1] - place[side, 1]).max() < 1.5, "stripes stay level"
    assert looked[side, 0].max() < 31, "each side looks at its own half"
    turns = np.ptp(looked[side & (np.abs(vertices[:, 1] + 30) < 2), 0])
    assert turns > 5.0, "cloth is not repeated every few cells"


UPRIGHT = np.tile([0.0, 1.0], (7, 1))
"""Bones that stand upright in the picture."""


def ring(size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A hole in the middle of a square of cells, and the cells around it."""
    hole = np.zeros((size, size), bool)
    hole[12:28, 12:28] = True
    return hole, ~hole


def filled(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A picture's hole filled from what is around it, and the hole in pixels."""
    hole, source = ring()
    wide = np.kron(hole, np.ones((4, 4), bool))
    spoilt = np.where(wide[..., None], 255.0, picture).astype(np.float32)
    return continued(spoilt, hole, source, np.zeros(hole.shape, np.int64), UPRIGHT), wide


def test_stripes_and_checks_go_on_through_what_is_hidden():
    y, x = np.mgrid[:160, :160]
    stripes = np.where((y // 12 % 2)[..., None] > 0, [200.0, 40, 60], [240.0, 230, 220])
    got, hole = filled(stripes)
    assert np.abs(got - stripes)[hole].mean() < 12, "stripes keep their level"
    checks = np.where(((y // 10 + x // 10) % 2)[..., None] > 0, [30.0, 60, 160], [220.0, 220, 230])
    got, hole = filled(checks)
    assert got[hole].std(0).min() > 0.75 * checks[hole].std(0).min(), "checks do not fade to their mean"


def test_plain_cloth_stays_plain_and_the_same_comes_out_twice():
    light = np.linspace(90, 130, 160)[None, :, None] * np.ones((160, 1, 3))
    got, hole = filled(light)
    assert np.abs(got - light)[hole].max() < 12
    grain = light + np.random.default_rng(1).normal(0, 12, (160, 160, 1))
    np.testing.assert_array_equal(filled(grain)[0], filled(grain)[0])


def shirt() -> tuple[Seen, np.ndarray]:
    """A blue shirt of 60 × 40 cells with a belt all around, its buckle, and a print; and the part of each cell."""
    rows, columns = 60, 40
    small = np.tile(np.array([40.0, 60, 150]), (rows, columns, 1))
    small[40:44] = [90, 60, 30]
    small[39:45, 18:22] = [230, 200, 60]
    small[6:18, 14:26] = [220, 40, 40]
    picture = np.kron(small, np.ones((4, 4, 1))).astype(np.float32)
    lab = cv2.cvtColor((small / 255).astype(np.float32), cv2.COLOR_RGB2LAB).astype(np.float64)
    y, x = np.mgrid[:rows, :columns] + 0.5
    depth = np.minimum(np.minimum(x, columns - x), np.minimum(y, rows - y))
    return Seen(picture, np.dstack([lab, depth])), np.zeros((rows, columns), np.int64)


def test_sides_have_the_level_and_the_grain_but_no_lace_and_no_button():
    seen, _ = shirt()
    weave = np.random.default_rng(0).normal(0, 4, seen.picture.shape[:2]).astype(np.float32)[..., None]
    plain = np.full_like(seen.picture, [40.0, 60, 150])
    plain[160:188] = [90.0, 60, 30]
    picture = plain + weave
    picture[60:140:12] = picture[61:140:12] = 240
    picture[100:108, 76:84] = 240
    quiet = sides_of(seen.with_picture(picture))
    laced = np.zeros(weave.shape[:2], bool)
    laced[56:144] = True
    assert np.abs(quiet.picture - plain)[laced].max() < 40, "the cloth's grain at most"
    assert np.abs(quiet.level.picture - plain)[166:182].max() < 12, "a belt goes around at its level"
    assert quiet.grain.picture[8:48].std() > 0.5 * weave.std(), "cloth stays cloth"
    place = np.tile([20.0, 30.0], (3, 1)) + np.arange(3)[:, None] * [2.0, 0.0]
    levels = [np.array([[20.0, 43.5]]), np.array([[20.0, 5.0]]), np.array([[22.0, 5.0]])]
    found = quiet.colours(levels, place[:1])
    np.testing.assert_allclose(found[0], [40, 60, 150], atol=25)


def test_behind_hair_looks_as_the_crown_and_boots_have_no_laces_behind(egg):
    """Locks beside a face, in the shadow of a hood, are not the hood."""
    grid, _ = egg_picture(lit=False)
    face = np.zeros((11, 2))
    face[[2, 5]] = [[26.0, 30.0], [34.0, 30.0]]
    above = _above_the_eyes(replace(grid, face=face), (60, 60))
    assert above[:29].all()
    assert not above[31:].any()
    assert _above_the_eyes(grid, (60, 60)).all()
    points = np.zeros((20, 2))
    for side in ("left", "right"):
        points[POINTS.index(f"{side}_ankle")], points[POINTS.index(f"{side}_knee")] = (30, 48), (30, 38)
    vertices = egg[0]
    leg = np.full(len(vertices), PARTS.index("left_leg"))
    foot = _on_foot(replace(grid, points=points), vertices, leg)
    assert foot[vertices[:, 1] < -49].all()
    assert not foot[vertices[:, 1] > -44].any()
    assert not _on_foot(replace(grid, points=points), vertices, np.zeros_like(leg)).any()


def test_a_calm_part_repeats_no_lines():
    """A hairline or an ear of a head's rim is not drawn again behind it."""
    rng = np.random.default_rng(1)
    picture = (120 + rng.normal(0, 2, (240, 160, 1)) + np.zeros(3)).astype(np.float32)
    picture[::24] = picture[1::24] = 20
    hole = np.zeros((60, 40), bool)
    hole[:, 20:] = True
    part = np.zeros(hole.shape, np.int64)
    lively, calm = (continued(picture, hole, ~hole, part, UPRIGHT, calm)[:, 100:150] for calm in (None, 0))
    assert (lively < 60).mean() > 0.04 and (calm < 60).mean() < 0.005


def test_print_and_buckle_are_the_fronts_alone_and_the_belt_goes_around():
    seen, part = shirt()
    alone = front_only(seen, part, (0,), UPRIGHT)
    assert alone[6:18, 14:26].all()
    assert alone[40:44, 18:22].all()
    assert not alone[40:44, :10].any()
    assert not alone[50:].any()


def head(colours: dict[str, tuple[int, int, int]]) -> tuple[FigureGrid, Seen, np.ndarray]:
    """A round head of 40 × 40 cells: hair, a face inside it and two eyes inside the face, on a grid; its cells."""
    y, x = np.mgrid[:40, :40] + 0.5
    small = np.tile(np.array(colours["hair"], np.float64), (40, 40, 1))
    small[np.hypot(x - 20, y - 24) < 10] = colours["skin"]
    for eye in (16, 24):
        small[np.hypot(x - eye, y - 22) < 1.5] = colours["eyes"]
    lab = cv2.cvtColor((small / 255).astype(np.float32), cv2.COLOR_RGB2LAB).astype(np.float64)
    depth = 18 - np.hypot(x - 20, y - 20)
    face = np.zeros((11, 2))
    face[2], face[5], face[9], face[10] = (16, 22), (24, 22), (17, 29), (23, 29)
    grid = FigureGrid(4.0, np.zeros(2), depth, lab, np.zeros((20, 2)), face, 40.0)
    picture = np.kron(small, np.ones((4, 4, 1))).astype(np.float32)
    return grid, Seen(picture, np.dstack([lab, depth])), depth > 0


def test_the_back_of_a_head_has_hair_and_never_a_face(egg):
    vertices, _, _ = egg
    at = (vertices - [30, -30, 0]) * 0.8 + [20, -20, 0]
    grid, seen, own = head({"hair": (110, 50, 20), "skin": (230, 180, 150), "eyes": (20, 30, 60)})
    behind = head_behind(grid, at, seen, own, np.ones(len(at), bool))
    assert behind.bare is not None
    y, x = np.mgrid[:40, :40] + 0.5
    assert behind.bare[np.hypot(x - 20, y - 24) < 10].all(), "eyes and skin stay in front"
    assert not behind.bare[:10].any(), "the crown's hair is what the back is made of"
    part = np.ones(own.shape, np.int64)
    back = continued(seen.picture, behind.bare, own & ~behind.bare, part, UPRIGHT)
    face = np.kron(np.hypot(x - 20, y - 22) < 8, np.ones((4, 4), bool))
    assert np.abs(back[face] - [110, 50, 20]).max() < 12
    high = (at[:, 2] < -3) & (at[:, 1] > -20)
    assert (behind.inside[high] > 0).all(), "behind the ears is hair"
    assert (behind.inside[(at[:, 2] > 4) & (at[:, 1] < -20)] < 0).all(), "the face has none"


def test_a_hood_of_the_faces_colour_is_no_face(egg):
    vertices, _, _ = egg
    at = (vertices - [30, -30, 0]) * 0.8 + [20, -20, 0]
    grid, seen, own = head({"hair": (235, 200, 180), "skin": (235, 190, 165), "eyes": (20, 30, 60)})
    lab = seen.cloth[..., :3]
    y, x = np.mgrid[:40, :40] + 0.5
    # Dark hair between the face and a hood that is as light as the face; dark ears on its top.
    lab[:7] = [25.0, 5, 8]
    lab[np.abs(np.hypot(x - 20, y - 24) - 10.5) < 2] = [25.0, 5, 8]
    behind = head_behind(grid, at, seen, own, np.ones(len(at), bool))
    assert behind.bare is not None
    assert not behind.bare[7:9].any()


def egg_picture(lit: bool) -> tuple[FigureGrid, np.ndarray]:
    """The ellipsoid, red above and blue below, four pixels a cell, under light from above the camera or without any."""
    y, x = (np.mgrid[:240, :240] + 0.5) / 4
    across = ((x - 30) / RADII[0]) ** 2 + ((y - 30) / RADII[1]) ** 2
    normal = np.stack(
        [(x - 30) / RADII[0] ** 2, (30 - y) / RADII[1] ** 2, np.sqrt(np.maximum(1 - across, 0)) / RADII[2]], -1
    )
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    albedo = np.where((y < 30)[..., None], [0.5, 0.08, 0.06], [0.06, 0.10, 0.4])
    light = 0.35 + 0.65 * np.maximum(normal @ np.array([-0.3, 0.5, 0.81]), 0) if lit else np.ones_like(x)
    rgb = srgb_bytes_from_linear(albedo * light[..., None] * (across < 1)[..., None])
    row, column = np.mgrid[:60, :60] + 0.5
    distance = 14 * (1 - np.hypot((column - 30) / RADII[0], (row - 30) / RADII[1]))
    lab = cv2.cvtColor(
        cv2.resize(rgb, (60, 60), interpolation=cv2.INTER_AREA).astype(np.float32) / 255, cv2.COLOR_RGB2LAB
    )
    grid = FigureGrid(4.0, np.zeros(2), distance, lab.astype(np.float64), np.zeros((20, 2)), None, 44.0)
    return grid, rgb


def unevenness(rgb: np.ndarray) -> float:
    """How much brightness varies over the ellipsoid's lower half, away from its edges."""
    light = linear_from_srgb_bytes(rgb[130:175, 90:150]).sum(-1)
    return float(np.std(np.log(light)))


def test_the_pictures_light_is_taken_out(egg):
    vertices, _, normals = egg
    grid, rgb = egg_picture(lit=True)
    labels = np.where(grid.distance > 0, 0, -1)
    flat = unshaded(grid, labels, rgb, vertices, normals)
    assert unevenness(rgb) > 0.08
    assert unevenness(flat) < 0.3 * unevenness(rgb)


def test_a_flat_drawing_stays_as_it_is(egg):
    vertices, _, normals = egg
    grid, rgb = egg_picture(lit=False)
    labels = np.where(grid.distance > 0, 0, -1)
    flat = unshaded(grid, labels, rgb, vertices, normals)
    inside = cv2.resize((grid.distance > 1).astype(np.uint8), (240, 240)) > 0
    assert np.abs(flat.astype(int) - rgb)[inside].mean() < 2


def test_light_and_shadow_of_one_grey_cloth_are_one_cloth(egg):
    vertices, _, normals = egg
    grid, rgb = egg_picture(lit=True)
    grey = srgb_bytes_from_linear(np.repeat(linear_from_srgb_bytes(rgb).sum(-1, keepdims=True) / 0.64 * 0.4, 3, 2))
    small = cv2.resize(grey, (60, 60), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    grid = replace(grid, lab=cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float64))
    labels = np.where(grid.distance > 0, 0, -1)
    flat = unshaded(grid, labels, grey, vertices, normals)
    assert unevenness(flat) < 0.3 * unevenness(grey)
    lab = np.repeat([[20.0, 0, 0], [38.0, 1, 1], [30.0, 40, 20], [70.0, 0, 2]], 50, axis=0)
    cloth = _cloths(lab + np.random.default_rng(0).normal(0, 0.5, lab.shape))
    assert cloth[0] == cloth[50], "light and shadow"
    assert len({cloth[0], cloth[100], cloth[150]}) == 3, "red and white are other cloths than black"
