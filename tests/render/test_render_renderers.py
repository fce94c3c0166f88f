"""The renderers against known truth and against each other."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from simple_takes import KEY, LIGHT, RATE, camera, quad, sphere, still

from understudy.core.camera import CameraPath
from understudy.core.character import Character, Material, Mesh
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import Motion, Skeleton
from understudy.geometry.projection import intrinsics, project, unproject
from understudy.geometry.rigid import invert, transform
from understudy.geometry.rotations import look_at, quaternion_from_vector
from understudy.render.backends import opengl_context, opengl_renderer
from understudy.render.backends.opengl import OpenGL
from understudy.render.renderers import RENDERERS
from understudy.render.views import PixelBounds
from understudy.runtime.errors import BackendUnavailable

OFF_CENTRE = np.array([[95.0, 0.0, 41.3], [0.0, 88.0, 45.9], [0.0, 0.0, 1.0]])


def ball_take(**options):
    ball = still(sphere(), (0.1, 0.6, 0.0))
    view = camera((0.8, 1.7, 3.0), (0.0, 0.5, 0.0), K=OFF_CENTRE)
    return Take((ball,), view, options.get("light", LIGHT))


def test_a_square_covers_the_pixels_that_geometry_says(renderer):
    # 1 m at 3 m with focal length 90: 30 px, centred on the principal point (48.5, 37.5).
    passes = renderer(Take((still(quad(0.5)),), camera((0, 0, 3), (0, 0, 0)), LIGHT), 0)
    expected = np.zeros((75, 97))
    expected[23:52, 34:63] = 1.0
    expected[22], expected[52], expected[:, 33], expected[:, 63] = 0.5, 0.5, 0.5, 0.5
    expected[:22], expected[53:], expected[:, :33], expected[:, 64:] = 0, 0, 0, 0
    expected[[22, 22, 52, 52], [33, 63, 33, 63]] = 0.25
    assert np.abs(passes.alpha - expected).max() == 0
    assert np.abs(passes.depth_m[passes.ids > 0] - 3.0).max() < 1e-5
    assert np.isinf(passes.depth_m[passes.ids == 0]).all()
    assert np.allclose(passes.normals[passes.ids > 0], [0, 0, 1], atol=1e-5)
    assert not passes.normals[passes.ids == 0].any()


def test_right_and_below_in_the_world_is_right_and_below_in_the_picture(renderer):
    # The camera looks along −Z, so the world's +X is to its right.
    passes = renderer(Take((still(quad(0.1), (0.6, -0.4, 0.0)),), camera((0, 0, 3), (0, 0, 0)), LIGHT), 0)
    rows, columns = np.mgrid[0:75, 0:97] + 0.5
    centroid = np.array([(columns * passes.alpha).sum(), (rows * passes.alpha).sum()]) / passes.alpha.sum()
    assert np.abs(centroid - [48.5 + 0.6 * 30, 37.5 + 0.4 * 30]).max() < 0.02


def test_any_intrinsics_put_points_where_projection_does(renderer):
    view = camera((0.8, 1.7, 3.0), (0.0, 0.5, 0.0), K=OFF_CENTRE)
    passes = renderer(ball_take(), 0)
    centre = view.T_camera_world[0] @ np.array([0.1, 0.6, 0.0, 1.0])
    expected = project(OFF_CENTRE, centre[None, :3])[0]
    rows, columns = np.mgrid[0:75, 0:97] + 0.5
    centroid = np.array([(columns * passes.alpha).sum(), (rows * passes.alpha).sum()]) / passes.alpha.sum()
    # A ball's outline is an ellipse whose centre lies a little outside the ball's own.
    assert np.abs(centroid - expected).max() < 0.5
    surface = 1 / np.sqrt((np.linalg.norm(centre[:3]) / 0.5) ** 2 - 1)
    area = np.pi * surface**2 * OFF_CENTRE[0, 0] * OFF_CENTRE[1, 1] * (np.linalg.norm(centre[:3]) / centre[2]) ** 3
    assert passes.alpha.sum() == pytest.approx(area, rel=0.02)


def test_renderers_agree(both):
    texture = np.random.default_rng(3).integers(0, 255, (4, 8, 4), np.uint8)
    texture[..., 3] = 255
    textured = sphere(material=Material(texture=texture, roughness=0.4, metallic=0.3, emissive=(0.05, 0.0, 0.1)))
    take = Take(
        (still(sphere(0.4), (-0.35, 0.6, 0.1)), still(textured, (0.4, 0.5, -0.1), (0.3, 0.5, 0.1))),
        camera((0.8, 1.7, 3.0), (0.0, 0.5, 0.0), K=OFF_CENTRE),
        LIGHT,
    )
    opengl, reference = (renderer(take, 0) for renderer in both)
    edge = (reference.alpha > 0) & (reference.alpha < 1)
    assert set(np.unique(opengl.ids)) == {0, 1, 2}
    assert np.abs(opengl.alpha - reference.alpha)[~edge].max() == 0
    assert np.abs(opengl.alpha - reference.alpha).mean() < 2e-3
    inside = (reference.alpha == 1) & (opengl.ids == reference.ids)
    assert (opengl.ids != reference.ids).mean() < 2e-3
    assert np.abs(opengl.id_share - reference.id_share)[opengl.ids == reference.ids].mean() < 2e-3
    assert (opengl.id_share <= opengl.alpha + 0.01).all()
    relative = np.abs(opengl.depth_m[inside] - reference.depth_m[inside]) / reference.depth_m[inside]
    assert np.percentile(relative, 99) < 1e-4
    assert np.percentile(np.abs(opengl.normals - reference.normals)[inside], 99) < 1e-3
    # Self-shadows are the OpenGL renderer's alone: compare where the key does not reach or nothing stands between.
    difference = np.abs(opengl.colour - reference.colour).max(-1)[inside & (opengl.ids == 1)]
    assert np.median(difference) < 4e-3
    assert abs(opengl.shadow.sum() / reference.shadow.sum() - 1) < 0.1


def test_edges_are_premultiplied(both):
    light = Light(KEY, np.zeros(3), np.ones(3), np.ones(3))
    matt = Material(base_colour=(0.5, 0.25, 1.0, 1.0), roughness=1.0)
    for renderer in both:
        passes = renderer(Take((still(quad(0.5, matt)),), camera((0, 0, 3), (0, 0, 0)), light), 0)
        ratio = passes.colour[passes.alpha > 0] / passes.alpha[passes.alpha > 0][:, None]
        assert np.ptp(ratio, axis=0).max() < 0.02
        assert np.allclose(ratio.mean(0), np.array([0.5, 0.25, 1.0]), atol=0.02)


def test_textures_are_decoded_from_srgb_and_stand_upright(renderer):
    texture = np.zeros((2, 2, 4), np.uint8)
    texture[..., 3] = 255
    texture[0, 0] = (188, 0, 0, 255)  # 188 is the half of 255 in linear light
    light = Light(KEY, np.zeros(3), np.ones(3), np.ones(3))
    square = quad(1.5, Material(texture=texture, roughness=1.0))
    passes = renderer(Take((still(square),), camera((0, 0, 3), (0, 0, 0)), light), 0)
    red = passes.colour[..., 0]
    assert red[15, 26] == pytest.approx(0.5, abs=0.03)
    assert max(red[15, 70], red[59, 26], red[59, 70]) < 0.1


def test_alpha_cutoff_makes_holes_and_backs_are_culled(renderer):
    texture = np.full((2, 2, 4), 255, np.uint8)
    texture[:, 1, 3] = 0
    view = camera((0, 0, 3), (0, 0, 0))
    holes = renderer(Take((still(quad(0.5, Material(texture=texture, alpha_cutoff=0.5))),), view, LIGHT), 0).alpha.sum()
    assert holes == pytest.approx(450, rel=0.05)
    assert renderer(Take((still(quad(0.5, facing=-1.0)),), view, LIGHT), 0).alpha.sum() == 0
    both_sides = still(quad(0.5, Material(double_sided=True), facing=-1.0))
    passes = renderer(Take((both_sides,), view, LIGHT), 0)
    assert passes.alpha.sum() == pytest.approx(900, rel=0.01)
    assert np.allclose(passes.normals[37, 48], [0, 0, 1], atol=1e-5)


def two_squares(size: float) -> Character:
    """Two squares on two joints, 0.8 m apart."""
    square = quad(size).mesh
    vertices = np.concatenate([square.vertices, square.vertices + [0.8, 0, 0]])
    mesh = Mesh(
        vertices, np.concatenate([square.faces, square.faces + 4]), np.tile([0.0, 0, 1], (8, 1)), np.zeros((8, 2)),
        np.zeros(4, int), (Material(),),
    )  # fmt: skip
    skeleton = Skeleton(("root", "arm"), (-1, 0), np.tile(np.eye(4), (2, 1, 1)))
    joints = np.repeat([0, 1], 4)[:, None]
    return Character("arm", mesh, skeleton, np.tile(np.eye(4), (2, 1, 1)), joints, np.ones((8, 1)))


def test_skinned_vertices_follow_their_joints(renderer):
    # Two squares on two joints; the second joint turns by 90° about Z, which carries its square from +X to +Y.
    character = two_squares(0.1)
    q = quaternion_from_vector(np.array([[[0, 0, 0], [0, 0, np.pi / 2]]], float))
    take = Take(
        (Performance(character, Motion(character.skeleton, q, np.zeros((1, 3)), RATE)),),
        camera((0, 0, 3), (0, 0, 0)),
        LIGHT,
    )
    alpha = renderer(take, 0).alpha
    rows, columns = np.nonzero(alpha)
    assert columns.min() >= 45 and columns.max() <= 51
    assert rows.min() == pytest.approx(37.5 - 0.9 * 30, abs=1)


def waving_arm():
    """Two squares on two joints that travel and turn, before a camera that travels, turns and zooms: three frames."""
    character = two_squares(0.3)
    turns = np.array([[[0.1 * t, 0.2 * t, 0.0], [0.0, 0.1 * t, 0.3 * t - 0.2]] for t in range(3)])
    travel = np.array([[0.1 * t - 0.4, 0.02 * t * t, 0.1 * t] for t in range(3)])
    performance = Performance(character, Motion(character.skeleton, quaternion_from_vector(turns), travel, RATE))
    eye = np.array([[0.05 * t, 0.1 * t, 3.0 - 0.2 * t] for t in range(3)])
    K = np.array([intrinsics(80.0 + 5 * t, 97, 75) for t in range(3)])
    return Take((performance,), CameraPath(look_at(eye, np.zeros((3, 3))), K, 97, 75, RATE), LIGHT)


@pytest.mark.parametrize("name", sorted(RENDERERS))
def test_motion_is_where_the_same_point_is_in_the_next_and_in_the_previous_frame(name):
    take = waving_arm()
    skeleton, motion = take.performances[0].character.skeleton, take.performances[0].motion
    T = motion.T_world_joint()
    with RENDERERS[name](motion=True).build() as renderer:
        frames = [renderer(take, frame) for frame in range(3)]
        assert renderer(Take((), take.camera, LIGHT), 0).motion_px.shape == (75, 97, 4)
    passes = frames[1]
    whole = passes.alpha == 1
    pixels = np.argwhere(whole)[:, ::-1] + 0.5
    points = unproject(take.camera.K[1], pixels, passes.depth_m[whole].astype(float))
    points = transform(take.camera.T_world_camera[1], points)
    # The arm's own square is the one whose plane the point lies in.
    local = [transform(invert(T[1, joint]), points) for joint in range(2)]
    on_arm = np.abs(local[1][:, 2]) < np.abs(local[0][:, 2])
    assert len(skeleton) == 2 and 100 < on_arm.sum() < len(points) - 100
    truth = []
    for there in (2, 0):
        moved = np.where(on_arm[:, None], transform(T[there, 1], local[1]), transform(T[there, 0], local[0]))
        truth.append(project(take.camera.K[there], transform(take.camera.T_camera_world[there], moved)) - pixels)
    off = np.abs(passes.motion_px[whole] - np.concatenate(truth, 1)).max(1)
    assert np.abs(truth[0]).max() > 5
    # Pixels where the two squares meet show one of them and a little of the other's depth.
    assert np.percentile(off, 99) < 0.02 and np.median(off) < 1e-3
    assert not passes.motion_px[passes.ids == 0].any()
    assert not frames[0].motion_px[..., 2:].any() and frames[0].motion_px[..., :2].any()
    assert not frames[2].motion_px[..., :2].any() and frames[2].motion_px[..., 2:].any()


def test_motion_is_worked_out_only_on_request_and_alike_by_both(both):
    assert all(renderer(ball_take(), 0).motion_px is None for renderer in both)
    take = waving_arm()
    found = []
    for config in RENDERERS.values():
        with config(motion=True).build() as renderer:
            found.append(renderer(take, 1))
    same = (found[0].alpha == found[1].alpha) & (found[0].ids > 0)
    assert np.percentile(np.abs(found[0].motion_px - found[1].motion_px)[same], 99) < 0.02


def test_the_shadow_falls_away_from_the_key(renderer):
    passes = renderer(ball_take(), 0)
    view = camera((0.8, 1.7, 3.0), (0.0, 0.5, 0.0), K=OFF_CENTRE)
    fallen = np.array([0.1, 0.6, 0.0]) - 0.6 / KEY[1] * KEY
    at = project(OFF_CENTRE, (view.T_camera_world[0] @ np.append(fallen, 1.0))[None, :3])[0]
    rows, columns = np.mgrid[0:75, 0:97] + 0.5
    centroid = np.array([(columns * passes.shadow).sum(), (rows * passes.shadow).sum()]) / passes.shadow.sum()
    assert np.abs(centroid - at).max() < 2.5
    assert passes.shadow[int(at[1]), int(at[0])] > 0.95
    assert passes.shadow.max() <= 1.0
    below = Light(np.array([0.0, -1.0, 0.0]), np.ones(3), np.ones(3), np.ones(3))
    assert renderer(ball_take(light=below), 0).shadow.max() == 0


def test_a_larger_key_softens_the_shadow(both):
    opengl, _ = both
    soft = Light(KEY, LIGHT.key_colour, LIGHT.fill_sky, LIGHT.fill_ground, np.radians(10))
    sharp, wide = opengl(ball_take(), 0).shadow, opengl(ball_take(light=soft), 0).shadow

    def penumbra(shadow):
        return ((shadow > 0.05) & (shadow < 0.95)).sum()

    assert penumbra(wide) > 2 * penumbra(sharp)
    assert wide.sum() == pytest.approx(sharp.sum(), rel=0.25)


def test_one_character_throws_its_shadow_on_another(both):
    opengl, _ = both
    light = Light(np.array([0.0, 1.0, 0.0]), np.ones(3), np.zeros(3), np.zeros(3), np.radians(1))
    floor = still(quad(2.0, Material(roughness=1.0)), (0, 0.5, 0), (-np.pi / 2, 0, 0))
    view = camera((0, 3, 3), (0, 0.5, 0))
    alone = opengl(Take((floor,), view, light), 0).colour[..., 0]
    ball = still(sphere(0.3), (0.0, 1.5, 0.0))
    shaded = opengl(Take((floor, ball), view, light), 0)
    dark = (shaded.ids == 1) & (shaded.colour[..., 0] < 0.3 * alone) & (alone > 0.5)
    # The ball's shadow is a disc of 0.3 m at about 3.9 m, seen at 40°.
    assert 50 < dark.sum() < 150
    assert (np.abs(shaded.colour[..., 0] - alone)[(shaded.ids == 1) & ~dark] < 0.1).mean() > 0.9


def test_a_camera_inside_the_cast_still_renders(renderer):
    passes = renderer(Take((still(quad(3.0)),), camera((0, 0.5, 0.3), (2, 0.4, -0.5)), LIGHT), 0)
    assert 0.1 < passes.alpha.mean() <= 1.0
    assert np.isfinite(passes.colour).all()


def test_tiles_join_without_seams(both):
    opengl, _ = both
    view = camera((0, 0, 3), (0, 0, 0), focal_px=3000.0, width=1300, height=600)
    passes = opengl(Take((still(quad(2.0, Material(roughness=1.0))),), view, LIGHT), 0)
    assert passes.alpha.min() == 1
    assert np.abs(np.diff(passes.colour[..., 0], axis=1)).max() < 5e-3


@pytest.mark.parametrize("position, focal_px", [((0.3, 1.4, 4.0), 600.0), ((0.2, 0.4, 0.7), 90.0)])
def test_what_is_left_out_of_the_drawing_is_empty(monkeypatch, position, focal_px):
    """From afar, and from within the shadow."""
    light = Light(KEY, np.full(3, 0.9), np.full(3, 0.3), np.full(3, 0.1), np.radians(8))
    take = Take((still(sphere(0.3), (0.0, 0.29, 0.0)),), camera(position, (0, 0.2, 0), focal_px, 500, 300), light)
    with OpenGL().build() as opengl:
        parts = opengl(take, 0)
        everywhere = 50.0 * np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]])[np.arange(16) // 4]
        monkeypatch.setattr(opengl_renderer, "ground_outline", lambda *_: everywhere)
        monkeypatch.setattr(
            opengl_renderer, "covered_runs", lambda *call: [PixelBounds(0, 0, call[-1].width, call[-1].height)]
        )
        whole = opengl(take, 0)
    assert 0.01 < np.mean(whole.alpha > 0) < 0.9 and 0.01 < np.mean(whole.shadow > 0) < 0.9
    for name in ("colour", "alpha", "depth_m", "normals", "ids", "id_share"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name)), name
    assert np.abs(parts.shadow - whole.shadow).max() < 1e-3


def test_renderers_side_by_side_do_not_disturb_each_other(both):
    opengl, _ = both
    other = Take((still(quad(0.8, Material(base_colour=(0.1, 0.9, 0.1, 1.0)))),), camera((0, 0, 3), (0, 0, 0)), LIGHT)
    alone = opengl(ball_take(), 0)
    with OpenGL(shadow_map_px=64).build() as second:
        second(other, 0)
        again = opengl(ball_take(), 0)
        green = second(other, 0)
        assert np.array_equal(again.colour, alone.colour)
        assert np.array_equal(again.shadow, alone.shadow)
        assert green.colour[37, 48, 1] > 3 * green.colour[37, 48, 0]
    assert np.array_equal(opengl(ball_take(), 0).colour, alone.colour)


def test_a_mesh_that_moves_takes_its_shadow_along(both):
    opengl, _ = both
    ball = sphere(0.3)
    q = quaternion_from_vector(np.zeros((2, 1, 3)))
    motion = Motion(ball.skeleton, q, np.array([[-0.5, 0.6, 0.0], [0.5, 0.6, 0.0]]), RATE)
    one = camera((0.0, 1.7, 3.5), (0.0, 0.3, 0.0))
    view = CameraPath(np.repeat(one.T_world_camera, 2, 0), np.repeat(one.K, 2, 0), one.width, one.height, RATE)
    take = Take((Performance(ball, motion),), view, LIGHT)
    columns = np.arange(97)
    first, second = (
        (opengl(take, frame).shadow.sum(0) @ columns) / opengl(take, frame).shadow.sum() for frame in (0, 1)
    )
    assert second - first == pytest.approx(90 / 3.7, abs=4)


@pytest.mark.parametrize("ground_shadow", [True, False])
def test_what_moves_before_a_set_leaves_no_shadow_behind(ground_shadow):
    set_mesh, ball = quad(3.0), sphere(0.4)
    identity = np.tile([1.0, 0.0, 0.0, 0.0], (4, 1, 1))
    path = np.array([[x, 0.9, 1.2] for x in (-1.0, -0.4, 0.2, 0.8)])
    view = camera((0.5, 1.5, 6.0), (0.0, 0.8, 0.0))
    view = CameraPath(np.repeat(view.T_world_camera, 4, 0), np.repeat(view.K, 4, 0), view.width, view.height, RATE)
    moving = Performance(ball, Motion(ball.skeleton, identity, path, RATE))
    standing = Performance(set_mesh, Motion(set_mesh.skeleton, identity, np.zeros((4, 3)), RATE))
    take, config = Take((standing, moving), view, LIGHT), OpenGL(ground_shadow=ground_shadow)
    with config.build() as kept:
        for frame in range(4):
            with config.build() as fresh:
                found, expected = kept(take, frame), fresh(take, frame)
            assert np.array_equal(found.colour, expected.colour)
            assert np.array_equal(found.shadow, expected.shadow)


def test_nobody_in_sight_gives_empty_passes(renderer):
    for performances in ((), (still(quad(0.2), (0, 0, 9.0)),)):
        passes = renderer(Take(performances, camera((0, 0, 3), (0, 0, 0)), LIGHT), 0)
        assert passes.alpha.shape == (75, 97)
        assert passes.alpha.max() == 0
        assert np.isinf(passes.depth_m).all()


def test_a_frame_outside_the_take_is_refused(renderer):
    with pytest.raises(IndexError, match="frames 0 … 0"):
        renderer(ball_take(), 1)


def test_missing_opengl_names_the_packages(monkeypatch):
    def fails(**options):
        raise Exception("libEGL.so.1 not loaded")

    monkeypatch.setattr(opengl_context.moderngl, "create_context", fails)
    monkeypatch.setattr(opengl_context.sys, "platform", "linux")
    with pytest.raises(BackendUnavailable, match="libegl1 libgl1-mesa-dri"):
        OpenGL().build()


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_works_after_opengl():
    code = (
        "from understudy.render.backends.opengl import OpenGL\nOpenGL().build()\n"
        "import torch\ntorch.optim.Adam([torch.zeros(2, requires_grad=True)])"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
