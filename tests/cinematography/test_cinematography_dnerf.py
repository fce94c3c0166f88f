"""The reference camera fit: laws of volume rendering, exact camera gradients, a tiny field that finds its camera."""

import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from box_person import box_person
from stick_people import film_camera, walk

from understudy.cinematography.dnerf.config import (
    CPU,
    PAPER,
    DNeRFConfig,
    FieldConfig,
    FieldTrainingConfig,
    InversionConfig,
)
from understudy.cinematography.dnerf.pictures import (
    KEYPOINTS,
    FieldBox,
    SurfaceScatter,
    crop_cameras,
    photographed,
    surrounding_cameras,
)
from understudy.cinematography.fitters import CAMERA_FITTERS
from understudy.cinematography.protocol import CameraFitter
from understudy.core.camera import CameraMoveKind, CameraPath
from understudy.core.film import Performance
from understudy.geometry.projection import project
from understudy.geometry.rigid import invert, transform, transform_from
from understudy.geometry.rotations import (
    matrix_from_vector,
    quaternion_from_vector,
    quaternion_multiply,
    rotation_angle,
)

torch = pytest.importorskip("torch", reason="the reference camera fit needs PyTorch: pip install 'understudy[scene]'")

from understudy.cinematography.dnerf.field import RadianceField  # noqa: E402
from understudy.cinematography.dnerf.fit import (  # noqa: E402
    FieldFit,
    fit_camera_by_field,
    key_frames,
    moved_by_offsets,
)
from understudy.cinematography.dnerf.inversion import ActorShown, moved_cameras  # noqa: E402
from understudy.cinematography.dnerf.rays import BoxSpace, camera_rays  # noqa: E402
from understudy.cinematography.dnerf.terms import (  # noqa: E402
    Cameras,
    Shown,
    instance_loss,
    motion_loss,
    semantic_loss,
    shown,
    smoothness_loss,
)
from understudy.cinematography.dnerf.volume import (  # noqa: E402
    Rays,
    box_span,
    importance_depths,
    ray_weights,
    render_at,
    render_rays,
    stratified_depths,
)

SMALL = FieldConfig(32, 3, 4, 2, 1, 10, 10)
TINY = DNeRFConfig(
    key_frames=3,
    radiance_field=SMALL,
    training=FieldTrainingConfig(views=14, picture_px=28, rays=320, steps=460, first_rate=5e-3, last_rate=1e-3),
    inversion=InversionConfig(picture_px=30, stride=2, steps=80, first_rate=0.015, last_rate=0.003),
)
PERSON = box_person()
DEVICE = torch.device("cpu")


def seeded(seed: int = 0) -> "torch.Generator":
    return torch.Generator().manual_seed(seed)


def small_field(keypoints: int = 4) -> RadianceField:
    """A field in double precision that is not what it starts as."""
    torch.manual_seed(0)
    field = RadianceField(SMALL, keypoints).double()
    with torch.no_grad():
        for head in (field.displacement, field.movement):
            head.weight.normal_(0, 0.1)
        field.density.bias += 5.0
    return field


def test_an_opaque_slab_hides_what_is_behind_it():
    depths, far = torch.linspace(0, 1.9, 20)[None].double(), torch.tensor([2.0]).double()
    density = torch.where((depths > 0.75) & (depths < 1.05), 1e4, 0.0)
    weights = ray_weights(density, depths, far)
    assert weights.sum() == pytest.approx(1.0)
    assert int(weights.argmax()) == 8 and weights[0, 8] == pytest.approx(1.0)


def test_empty_space_shows_nothing_and_thin_fog_what_beer_and_lambert_say():
    depths, far = torch.linspace(0, 1.9, 20)[None].double(), torch.tensor([2.0]).double()
    assert ray_weights(torch.zeros_like(depths), depths, far).abs().max() == 0
    fog = ray_weights(torch.full_like(depths, 0.7), depths, far)
    assert float(fog.sum()) == pytest.approx(1 - np.exp(-0.7 * 2.0))


def test_weights_are_never_negative_and_sum_to_at_most_one():
    near, far = torch.rand(50, generator=seeded()), 1 + torch.rand(50, generator=seeded(1))
    depths = stratified_depths(near, far, 30, seeded(2))
    weights = ray_weights(100 * torch.rand(50, 30, generator=seeded(3)) ** 4, depths, far)
    assert weights.min() >= 0 and weights.sum(1).max() <= 1 + 1e-6


def test_samples_lie_in_their_rays_and_crowd_where_the_weights_are():
    near, far = torch.full((8,), 1.0), torch.full((8,), 3.0)
    depths = stratified_depths(near, far, 40, seeded())
    assert (torch.diff(depths, dim=1) > 0).all() and depths.min() >= 1 and depths.max() <= 3
    weights = ((depths > 1.5) & (depths < 1.7)).float()
    fine = importance_depths(depths, far, weights, 64, seeded(1))
    assert fine.min() >= 1 and fine.max() <= 3
    assert ((fine > 1.45) & (fine < 1.8)).float().mean() > 0.95


def test_rays_meet_the_box_where_geometry_says():
    origins = torch.tensor([[0.0, 0.0, -3.0], [0.0, 2.0, -3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    rays = Rays(origins, torch.tensor([[0.0, 0.0, 1.0]]).expand(4, 3), torch.zeros(4))
    near, far, hit = box_span(rays, torch.tensor([0.5, 1.0, 0.25]))
    assert hit.tolist() == [True, False, True, False]
    assert near[[0, 2]].tolist() == pytest.approx([2.75, 0.0]) and far[[0, 2]].tolist() == pytest.approx([3.25, 0.25])


def test_nothing_is_deformed_before_learning_nor_ever_at_time_zero():
    points = torch.rand(40, 3, generator=seeded()) - 0.5
    field = RadianceField(SMALL, 4)
    assert field.deform(points, torch.rand(40, generator=seeded(1))).abs().max() == 0
    learned = small_field()
    assert learned.deform(points.double(), torch.zeros(40).double()).abs().max() == 0
    assert learned.deform(points.double(), torch.ones(40).double()).abs().max() > 1e-3


def test_the_gradient_of_a_pixel_by_the_camera_equals_finite_differences():
    field = small_field()
    space = BoxSpace(FieldBox(np.array([[0.2, 0.9, 0.1], [0.3, 0.9, 0.1]]), np.array([0.5, 1.0, 0.4])), DEVICE)
    space.centre, space.half, space.time = space.centre.double(), space.half.double(), space.time.double()
    camera = film_camera(np.tile([0.5, 1.2, 4.0], (2, 1)), np.tile([0.2, 0.9, 0.0], (2, 1)), 40.0)
    T = torch.as_tensor(camera.T_world_camera)
    cameras = Cameras(T[:, :3, :3], T[:, :3, 3], torch.as_tensor(camera.K))
    pixels = torch.tensor([[640.0, 360.0], [642.0, 357.0], [638.5, 364.0]]).double().expand(2, 3, 2)
    depths = torch.linspace(2.5, 5.0, 24).double().expand(6, 24)
    far = torch.full((6,), 5.1).double()
    mix = torch.randn(6, 3 + 1 + 4 + 3 + 3, generator=seeded(5)).double()

    def seen(offsets: "torch.Tensor") -> "torch.Tensor":
        moved = moved_cameras(cameras, offsets, 4.0)
        rays = camera_rays(space, moved.R_world_camera, moved.position, moved.K, pixels)
        p = render_at(field, rays, depths, far)
        return (torch.cat([p.alpha[:, None], p.colour, p.keypoints, p.movement, p.points], 1) * mix).sum()

    offsets = torch.tensor(np.random.default_rng(0).normal(0, 0.05, (2, 6)), requires_grad=True)
    seen(offsets).backward()
    numeric = np.zeros((2, 6))
    for index in np.ndindex(2, 6):
        step = torch.zeros(2, 6).double()
        step[index] = 1e-6
        with torch.no_grad():
            numeric[index] = float(seen(offsets + step) - seen(offsets - step)) / 2e-6
    assert np.abs(offsets.grad.numpy() - numeric).max() < 1e-5 * np.abs(numeric).max()
    assert np.abs(numeric).min() > 0


def test_a_camera_that_moves_along_a_ray_sees_the_same_in_it():
    field = small_field()
    origins = torch.tensor([[0.0, 0.1, -3.0], [0.5, -0.2, -3.0]]).double().requires_grad_()
    directions = torch.nn.functional.normalize(torch.tensor([[0.0, 0.0, 1.0], [-0.2, 0.1, 1.0]]).double(), dim=1)
    rays = Rays(origins, directions, torch.tensor([0.0, 0.7]).double())
    picture = render_rays(field, rays, torch.tensor([0.5, 1.0, 0.4]).double(), seeded())
    (picture.alpha.sum() + picture.keypoints[:, 0].sum() + picture.points[:, 0].sum()).backward()
    along = (origins.grad * directions).sum(1).abs()
    assert (along < 1e-9).all() and (origins.grad.norm(dim=1) > 1e-3).all()


def test_turns_and_shifts_mean_what_they_say():
    camera = film_camera(np.array([[0.0, 1.0, 5.0], [1.0, 1.0, 5.0], [2.0, 1.0, 5.0]]), np.zeros((3, 3)))
    turn, shift = np.array([[0.1, -0.2, 0.05]] * 3), np.array([[0.1, 0.2, -0.3]] * 3)
    moved = moved_by_offsets(camera, np.arange(3), turn, 4.0 * shift)
    T = torch.as_tensor(camera.T_world_camera)
    offsets = torch.as_tensor(np.concatenate([turn, shift], 1))
    tensors = moved_cameras(Cameras(T[:, :3, :3], T[:, :3, 3], torch.as_tensor(camera.K)), offsets, 4.0)
    assert np.abs(tensors.R_world_camera.numpy() - moved.T_world_camera[:, :3, :3]).max() < 1e-9
    assert np.abs(tensors.position.numpy() - moved.position).max() < 1e-9
    assert moved.position - camera.position == pytest.approx(4.0 * shift)


def test_offsets_are_interpolated_between_key_frames():
    frames = key_frames(9, 3)
    assert frames.tolist() == [0, 4, 8] and key_frames(2, 12).tolist() == [0, 1] and key_frames(1, 12).tolist() == [0]
    camera = film_camera(np.tile([0.0, 1.0, 5.0], (9, 1)), np.zeros((9, 3)))
    shift = np.array([[0.0, 0, 0], [1.0, 0, 0], [0.5, 0, 0]])
    moved = moved_by_offsets(camera, frames, np.zeros((3, 3)), shift).position[:, 0]
    assert moved[frames] == pytest.approx([0.0, 1.0, 0.5]) and moved.max() <= 1.0 + 1e-9
    assert (np.diff(moved[:5]) > 0).all() and (np.diff(moved[4:]) < 0).all()


def still_shown(shift_px: float = 0.0, flow_px: float = 0.0) -> Shown:
    """Two moments of a square of 6 × 6 pixels in a row of 20 × 20."""
    mask = torch.zeros(2, 20, 20)
    start = 5 + int(shift_px)
    mask[:, 7:13, start : start + 6] = 1.0
    keypoints = torch.tensor([[[8.0, 10.0], [10.0, 12.0]]] * 2) + torch.tensor([shift_px, 0.0])
    return Shown(mask.flatten(1), keypoints, torch.full((2, 2), 9.0), torch.tensor([[[flow_px, 0.0]] * 2]))


def test_each_term_is_zero_at_agreement_and_grows_with_its_own_kind_of_error():
    actor, height = still_shown(), torch.full((2,), 10.0)
    terms = {
        "instance": lambda body: float(instance_loss(body, actor)),
        "semantic": lambda body: float(semantic_loss(body, actor, height, 0.04)),
        "motion": lambda body: float(motion_loss(body, actor, height, 0.02)),
    }
    for term in terms.values():
        assert term(still_shown()) == pytest.approx(0.0, abs=1e-6)
    for name in ("instance", "semantic"):
        values = [terms[name](still_shown(shift)) for shift in (0, 1, 2, 3)]
        assert values == sorted(values) and values[3] > values[1] > 0
    assert terms["instance"](still_shown(3)) == pytest.approx(1 - 3 / 9)
    assert terms["motion"](still_shown(2)) == 0
    assert terms["motion"](still_shown(flow_px=2)) > terms["motion"](still_shown(flow_px=1)) > 0


def test_smoothness_allows_constant_speed_only():
    tolerance = torch.full((6,), 0.5)
    constant = torch.arange(5.0)[:, None] * torch.ones(6)
    assert float(smoothness_loss(constant, 0.1, tolerance)) == pytest.approx(0.0, abs=1e-6)
    assert float(smoothness_loss(constant**2 * 0.01, 0.1, tolerance)) == pytest.approx(6 * (0.02 / 0.01 / 0.5) ** 2)
    assert float(smoothness_loss(constant[:2], 0.1, tolerance)) == 0.0


@cache
def scattered(frames: int) -> tuple[Performance, SurfaceScatter, np.ndarray]:
    performance = walk(PERSON, frames, 1.0)
    scatter = SurfaceScatter.over(PERSON, KEYPOINTS)
    return performance, scatter, scatter.over_time(performance)


def test_pictures_say_where_the_surface_is_whose_it_is_and_where_it_goes():
    performance, scatter, surface = scattered(2)
    box = FieldBox.around(surface)
    views = surrounding_cameras(box, 2, 64, performance.motion.frame_rate)
    pictures = photographed(performance, scatter, surface, views)
    for view, picture in zip(views, pictures, strict=True):
        solid = picture.alpha[0] > 0.999
        assert solid.sum() > 100
        points = picture.points[0][solid]
        seen = project(view.K[0], transform(invert(view.T_world_camera)[0], points))
        rows, columns = np.nonzero(solid)
        assert np.abs(seen - np.stack([columns, rows], 1) - 0.5).max() < 1e-3
        assert (np.abs(points - box.centre[0]) <= box.half_m + 0.02).all()
        assert picture.keypoints[0][solid].sum(1) == pytest.approx(np.ones(solid.sum()))
        head = picture.keypoints[0][solid][:, KEYPOINTS.index("Head")] > 0.9
        assert points[head, 1].min() > 1.3
        walked = performance.motion.root_position_m[1] - performance.motion.root_position_m[0]
        chest = picture.keypoints[0][solid][:, KEYPOINTS.index("Spine2")] > 0.9
        assert np.abs(picture.movement[0][solid][chest].mean(0) - walked).max() < 0.01
        assert np.abs(picture.movement[1]).max() == 0


def test_the_actors_flow_is_that_of_its_projected_points():
    performance, scatter, surface = scattered(2)
    camera = film_camera(np.array([[1.0, 1.4, 6.0], [1.2, 1.4, 6.0]]), np.array([[0.4, 0.9, 0.5], [0.6, 0.9, 0.5]]))
    crops = crop_cameras(camera, surface, 64)
    actor = ActorShown.of(photographed(performance, scatter, surface, [crops])[0], crops, camera, DEVICE)
    seen = shown(actor.surface, actor.pixels, actor.cameras)
    chest = scatter.keypoints[:, KEYPOINTS.index("Spine2")] > 0.9
    projected = [project(camera.K[t], transform(invert(camera.T_world_camera)[t], surface[t, chest])) for t in (0, 1)]
    expected = (projected[1] - projected[0]).mean(0)
    assert seen.flow_px[0, KEYPOINTS.index("Spine2")].numpy() == pytest.approx(expected, abs=2.0)
    assert np.abs(expected).max() > 20
    middle = projected[0].mean(0)
    height = float(actor.height_px[0])
    assert np.abs(seen.keypoints_px[0, KEYPOINTS.index("Spine2")].numpy() - middle).max() < 0.05 * height
    box = np.ptp(project(camera.K[0], transform(invert(camera.T_world_camera)[0], surface[0])), axis=0)
    assert height == pytest.approx(box[1], rel=0.06)


def known_answer(frames: int, move: CameraMoveKind) -> tuple[Performance, Performance, CameraPath, CameraPath]:
    """An actor, the same person in a world that leans to one side, the camera, and the camera that leans as well."""
    actor = walk(PERSON, frames, 1.0, heading=1.3, speed=2.5)
    motion, middle = actor.motion, actor.motion.root_position_m.mean(0)
    place = np.tile([1.0, 1.3, 5.5], (frames, 1))
    if move == "parallax":
        place[:, 0] += np.linspace(0, 0.4, frames)
    aim = np.tile(middle, (frames, 1)) if move == "static" else motion.root_position_m
    camera = film_camera(place, aim)
    lean = 0.18 * camera.T_world_camera[frames // 2, :3, 2]
    R = matrix_from_vector(lean)
    T = transform_from(R, middle - R @ middle)
    q = motion.q_parent_joint.copy()
    q[:, 0] = quaternion_multiply(quaternion_from_vector(lean), q[:, 0])
    leaning = replace(motion, q_parent_joint=q, root_position_m=transform(T, motion.root_position_m))
    return actor, replace(actor, motion=leaning), camera, replace(camera, T_world_camera=T @ camera.T_world_camera)


@cache
def tiny_fit(move: CameraMoveKind) -> tuple[FieldFit, CameraPath, CameraPath, list[tuple[int, int]]]:
    actor, understudy, camera, right = known_answer(9, move)
    told: list[tuple[int, int]] = []
    fit = fit_camera_by_field(actor, understudy, camera, move, TINY, DEVICE, lambda d, n: told.append((d, n)))
    return fit, camera, right, told


def distance(a: CameraPath, b: CameraPath) -> float:
    """Metres plus radians times the subject's distance, mean over the frames."""
    turn = np.swapaxes(a.T_world_camera[:, :3, :3], 1, 2) @ b.T_world_camera[:, :3, :3]
    return float((np.linalg.norm(a.position - b.position, axis=1) + 5.0 * rotation_angle(turn)).mean())


def test_a_tiny_field_lowers_every_term():
    fit, _, _, told = tiny_fit("static")
    before, after = fit.inversion.before, fit.inversion.after
    assert after.instance < 0.8 * before.instance
    assert after.semantic < 0.4 * before.semantic
    assert after.motion < before.motion
    result = fit.camera_fit
    assert result.after.keypoint_error.mean() < 0.6 * result.scaled.keypoint_error.mean()
    assert result.iterations == TINY.inversion.steps
    assert told[-1][0] == told[-1][1] and [d for d, _ in told] == sorted(d for d, _ in told)


def test_a_static_camera_comes_nearer_to_the_known_one_and_stays_static():
    fit, camera, right, _ = tiny_fit("static")
    assert distance(fit.camera_fit.camera, right) < 0.6 * distance(camera, right)
    assert np.ptp(fit.camera_fit.camera.T_world_camera, axis=0).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("move", ["rotation", "parallax"])
def test_moving_cameras_come_nearer_to_the_known_one(move):
    fit, camera, right, _ = tiny_fit(move)
    assert distance(fit.camera_fit.camera, right) < 0.8 * distance(camera, right)
    if move == "rotation":
        assert np.ptp(fit.camera_fit.camera.position, axis=0).max() < 1e-6


def test_importing_the_stage_does_not_import_torch():
    code = (
        "import sys, understudy.cinematography.fitters as f; f.CAMERA_FITTERS['dnerf']();"
        "print(sorted({'torch', 'moderngl'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_reference_stands_beside_the_default():
    assert list(CAMERA_FITTERS) == ["plate", "points", "dnerf"]
    assert isinstance(CAMERA_FITTERS["dnerf"]().build(), CameraFitter)
    assert CAMERA_FITTERS["dnerf"]().config == CPU
    assert PAPER.radiance_field.width == 256 and PAPER.radiance_field.depth == 8


def test_lengths_must_agree():
    actor, understudy, camera, _ = known_answer(4, "static")
    short = replace(camera, T_world_camera=camera.T_world_camera[:3], K=camera.K[:3])
    with pytest.raises(ValueError, match="camera for 3"):
        CAMERA_FITTERS["dnerf"](TINY).build()(actor, understudy, short, "static")
