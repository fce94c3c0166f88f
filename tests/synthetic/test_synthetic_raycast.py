"""The ray caster against what geometry says it must show."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from understudy.synthetic.worlds.colours import linear
from understudy.synthetic.worlds.endless import ClipMix, ClipSizes, EndlessClips, SceneDescription
from understudy.synthetic.worlds.furniture import BALL, BOX, CYLINDER, NONE
from understudy.synthetic.worlds.patterns import PATTERNS, SIDE, texture_bank
from understudy.synthetic.worlds.raycast.bodies import INTERVALS
from understudy.synthetic.worlds.raycast.caster import expose
from understudy.synthetic.worlds.raycast.views import View, pinhole_view
from understudy.synthetic.worlds.seeded_random import SeededRandom
from understudy.synthetic.worlds.subject import Capsules, subject_capsules

SIDE_PX, FOCAL_PX = 40, 30.0
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scene() -> SceneDescription:
    """Rooms with the origin 1.5 m over the ground in their middle, emptied."""
    scene = EndlessClips(2, ClipSizes(), mix=ClipMix(worlds=(1.0, 0.0, 0.0))).describe(range(3))
    walls = replace(
        scene.world.walls,
        low_m=torch.tensor([[-4.0, 0.0, -3.0]]).repeat(3, 1),
        high_m=torch.tensor([[4.0, 3.0, 3.0]]).repeat(3, 1),
    )
    bodies = replace(scene.world.bodies, shape=torch.full_like(scene.world.bodies.shape, NONE))
    return replace(scene, world=replace(scene.world, walls=walls, bodies=bodies))


def camera(x: float = 0.0, y: float = 1.5, z: float = 0.0, yaw: float = 0.0) -> torch.Tensor:
    """Level, looking along (sin yaw, 0, cos yaw)."""
    T = torch.eye(4)
    T[:3, 0] = torch.tensor([-math.cos(yaw), 0.0, math.sin(yaw)])
    T[:3, 1] = torch.tensor([0.0, -1.0, 0.0])
    T[:3, 2] = torch.tensor([math.sin(yaw), 0.0, math.cos(yaw)])
    T[:3, 3] = torch.tensor([x, y, z])
    return T[None]


def with_body(scene: SceneDescription, shape: int, centre: tuple, half: tuple, yaw: float = 0.0) -> SceneDescription:
    bodies = scene.world.bodies
    shapes, centres, halves, yaws = (
        values.clone() for values in (bodies.shape, bodies.centre_m, bodies.half_m, bodies.yaw_rad)
    )
    shapes[0, 5], centres[0, 5], halves[0, 5], yaws[0, 5] = shape, torch.tensor(centre), torch.tensor(half), yaw
    bodies = replace(bodies, shape=shapes, centre_m=centres, half_m=halves, yaw_rad=yaws)
    return replace(scene, world=replace(scene.world, bodies=bodies))


def depth_of(scene: SceneDescription, T: torch.Tensor, side: int = SIDE_PX, focal: float = FOCAL_PX) -> torch.Tensor:
    return expose(scene.world, torch.zeros(len(T), dtype=torch.long), T, pinhole_view(side, side, focal, CPU)).depth_m


def test_a_wall_ahead_has_its_distance_as_depth(scene: SceneDescription) -> None:
    depth = depth_of(scene, camera(z=-1.0))[0]
    v = (torch.arange(SIDE_PX) + 0.5 - SIDE_PX / 2) / FOCAL_PX
    # The wall at z = 3 fills the middle; the floor and the ceiling, 1.5 m away, fill the rest.
    expected = torch.minimum(torch.full_like(v, 4.0), 1.5 / v.abs())
    inside = (4.0 * v.abs() - 1.5).abs() > 4.0 / FOCAL_PX
    torch.testing.assert_close(depth[inside, SIDE_PX // 2], expected[inside], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", INTERVALS)
def test_rays_parallel_to_a_side_meet_bodies_like_others(kind: int) -> None:
    o = torch.tensor([[0.3, 0.2, -5.0], [-5.0, 1.0, 0.0], [1.0, -0.5, -5.0], [0.0, -5.0, 0.0]]).T
    d = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -0.0, 1.0], [0.0, 1.0, 0.0]]).T
    near, far = INTERVALS[kind](*o, *d)
    assert near.isfinite().all() and far.isfinite().all()
    assert near[0] < far[0] and 3 < near[0] < 5 < far[0] < 7
    aslant, beyond = INTERVALS[kind](*o, *(d + 1e-6))
    inside = aslant < beyond - 1e-3
    assert torch.allclose(near[inside][:1], aslant[inside][:1], atol=1e-4)


def test_right_is_right_and_up_is_up(scene: SceneDescription) -> None:
    for centre, rows, columns in (
        ((-1.0, 1.5, 2.0), slice(None), slice(20, 40)),
        ((0.0, 2.4, 2.0), slice(0, 20), slice(None)),
    ):
        box = with_body(scene, BOX, centre, (0.2, 0.2, 0.2))
        changed = depth_of(box, camera())[0] != depth_of(scene, camera())[0]
        elsewhere = changed.clone()
        elsewhere[rows, columns] = False
        assert changed.any() and not elsewhere.any()  # Looking along +Z, −X is on the right.


@pytest.mark.parametrize(
    ("shape", "area"),
    [(BALL, math.pi * 0.5 * 0.5), (CYLINDER, 2 * 0.5 * 2 * 0.5), (BOX, 2 * 0.5 * 2 * 0.5)],
)
def test_bodies_cover_as_much_as_they_should(scene: SceneDescription, shape: int, area: float) -> None:
    # From afar with a long lens, so that perspective is weak.
    body = with_body(scene, shape, (0.0, 1.5, 2.0), (0.5, 0.5, 0.5))
    T = camera(z=-2.5)
    covered = (depth_of(body, T, 128, 400.0)[0] < depth_of(scene, T, 128, 400.0)[0] - 0.1).float().sum()
    front = {BOX: 4.0, CYLINDER: 4.28, BALL: 4.5}[shape]  # A cylinder's edges are farther than its middle.
    assert covered / (area * (400.0 / front) ** 2) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("shape", [BOX, CYLINDER, BALL])
def test_bodies_begin_where_they_should(scene: SceneDescription, shape: int) -> None:
    body = with_body(scene, shape, (0.3, 1.5, 1.0), (0.6, 0.4, 0.3), yaw=0.5 * math.pi)
    depth = depth_of(body, camera(x=0.3, z=-1.0))[0, SIDE_PX // 2, SIDE_PX // 2]
    assert depth == pytest.approx(2.0 - 0.6, abs=5e-3)  # Turned a quarter: the long axis lies along the view.


def test_casting_only_inside_rectangles_changes_nothing() -> None:
    clips = EndlessClips(6, ClipSizes(frames=3, height=24, width=24), mix=ClipMix(empty_share=0.0))
    scene = clips.describe(range(12))
    share = torch.linspace(0, 1, 3).expand(12, 3)
    T = (scene.T_world_start[:, None] @ scene.moves.T_start_camera(share)).flatten(0, 1)
    clip, moment = torch.arange(12).repeat_interleave(3), torch.arange(3).repeat(12)
    capsules = subject_capsules(scene.subject, scene.T_world_start, share)
    view = pinhole_view(24, 24, 16.0, CPU)
    everywhere = _Everywhere(view.directions, view.lengths, 24, 24, 16.0)
    fast, slow = (expose(scene.world, clip, T, each, capsules, moment) for each in (view, everywhere))
    for name in ("empty", "video", "mask", "depth_m"):
        torch.testing.assert_close(getattr(fast, name), getattr(slow, name), rtol=0, atol=1e-5)


class _Everywhere(View):
    """The same rays, but every rectangle is the whole picture."""

    def rectangles(self, centre_camera_m: torch.Tensor, half_camera_m: torch.Tensor):
        around = View(self.directions, self.lengths, self.width, self.height, None)
        return around.rectangles(centre_camera_m, half_camera_m)


def test_a_capsule_lies_where_it_should(scene: SceneDescription) -> None:
    start, end = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 2.0, 2.0])
    capsules = Capsules(
        start.expand(1, 1, 1, 3), end.expand(1, 1, 1, 3), torch.tensor([[0.2]]), torch.tensor([[[1.0, 0.0, 0.0]]]),
        torch.zeros(1, 1, 1, 3), torch.zeros(1),
    )  # fmt: skip
    view = pinhole_view(120, 120, 100.0, CPU)
    seen = expose(
        scene.world, torch.zeros(1, dtype=torch.long), camera(), view, capsules, torch.zeros(1, dtype=torch.long)
    )
    rows, columns = np.nonzero(seen.mask[0].numpy() > 0.5)
    # Its round is nearest at 1.8 m; a little less than 0.2 / 2 m wide on either side, 1.4 m high.
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(60, abs=0.6)
    assert np.ptp(columns) + 1 == pytest.approx(2 * 100 * 0.2 / math.sqrt(2.0**2 - 0.2**2), abs=1.5)
    assert np.ptp(rows) + 1 == pytest.approx(2 * 100 * 0.7 / 2.0, abs=3.0)
    area = 100**2 / 2.0**2 * (math.pi * 0.2**2 + 0.4 * 1.0)
    assert float(seen.mask.sum()) == pytest.approx(area, rel=0.04)
    red = seen.video[0, :, 60, 60]
    assert red[0] > red[1] + 0.3 and seen.mask.max() == 1.0


def test_things_in_front_hide_the_subject(scene: SceneDescription) -> None:
    point = torch.tensor([0.0, 1.5, 2.0]).expand(1, 1, 1, 3)
    capsules = Capsules(
        point, point, torch.tensor([[0.2]]), torch.ones(1, 1, 3), torch.zeros(1, 1, 1, 3), torch.zeros(1)
    )
    zero, view = torch.zeros(1, dtype=torch.long), pinhole_view(SIDE_PX, SIDE_PX, FOCAL_PX, CPU)
    for z, hidden in ((1.0, True), (2.6, False)):
        world = with_body(scene, BOX, (0.0, 1.5, z), (0.5, 0.5, 0.1)).world
        assert (expose(world, zero, camera(), view, capsules, zero).mask.sum() == 0) == hidden


def test_dice_are_fair_and_of_their_clip_alone() -> None:
    rng = SeededRandom.of_clips(1, torch.arange(4000))
    share = rng.uniform(2)
    assert share.min() >= 0 and share.max() < 1
    assert share.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert abs(float(torch.corrcoef(share.T)[0, 1])) < 0.05
    assert abs(float(torch.corrcoef(torch.stack([share[1:, 0], share[:-1, 0]]))[0, 1])) < 0.05
    again = SeededRandom.of_clips(1, torch.tensor([17]))
    assert torch.equal(again.uniform(2)[0], share[17])
    counts = (
        SeededRandom.of_clips(1, torch.arange(4000)).stream("a").choice([1.0, 0.0, 3.0]).bincount(minlength=3) / 4000
    )
    assert counts.tolist() == pytest.approx([0.25, 0.0, 0.75], abs=0.03)
    assert not torch.equal(rng.stream("a").uniform(), rng.stream("b").uniform())


def test_coarser_patterns_are_means_of_finer_ones() -> None:
    bank = texture_bank(CPU)
    for number in range(len(PATTERNS)):
        u = (torch.arange(SIDE) + 0.5) / SIDE
        u, v = (grid.reshape(-1) for grid in torch.meshgrid(u, u, indexing="xy"))
        pattern = torch.full_like(u, float(number))
        fine, _ = bank.look_up(pattern, u, v, torch.zeros_like(u))
        for level in (1, 3, 6):
            coarse, _ = bank.look_up(pattern, u + 3, v - 2, torch.full_like(u, float(level)))
            blocks = fine.view(SIDE >> level, 1 << level, SIDE >> level, 1 << level).mean((1, 3))
            expected = blocks.repeat_interleave(1 << level, 0).repeat_interleave(1 << level, 1).reshape(-1)
            torch.testing.assert_close(coarse, expected, rtol=0, atol=1e-5)


def test_linear_light_is_srgb_undone() -> None:
    from understudy.imaging.colour import linear_from_srgb

    value = np.linspace(0, 1, 50)
    np.testing.assert_allclose(linear(torch.tensor(value)).numpy(), linear_from_srgb(value), atol=1e-7)
