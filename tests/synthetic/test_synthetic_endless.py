"""Endless clips: what must hold for every clip, whatever was drawn."""

import math

import pytest
import torch

from understudy.synthetic.worlds.camera_paths import MOVES, MoveMix
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.synthetic.worlds.endless import ClipMix, ClipSizes, EndlessClips, endless
from understudy.synthetic.worlds.furniture import NONE
from understudy.synthetic.worlds.raycast.subject import SHADOW
from understudy.synthetic.worlds.subject import FEET, subject_capsules

SIZES = ClipSizes(frames=5, height=24, width=32, crops=6, crop_size=32)
SHARES = torch.linspace(0, 1, 17)


@pytest.fixture(scope="module")
def clips() -> EndlessClips:
    return EndlessClips(seed=7, sizes=SIZES)


@pytest.fixture(scope="module")
def batch(clips: EndlessClips) -> ClipBatch:
    return clips.clips(range(24))


def test_a_clip_depends_on_its_number_alone(clips: EndlessClips, batch: ClipBatch) -> None:
    alone, among = clips.clips([13]), batch.clips([13])
    assert alone.words == among.words
    for name in ("video", "empty", "mask", "T_start_camera", "context", "T_start_crop"):
        torch.testing.assert_close(getattr(alone, name), getattr(among, name), rtol=0, atol=2e-6)
    far = clips.clips([13 + (1 << 40)])
    assert (far.empty - alone.empty).abs().mean() > 0.05


def test_some_frames_are_those_of_the_whole_clip(clips: EndlessClips, batch: ClipBatch) -> None:
    some = clips.clips(range(24), frames=[0, 3])
    torch.testing.assert_close(some.video, batch.frames([0, 3]).video, rtol=0, atol=2e-6)
    own = torch.tensor([[4, 1], [2, 2]])
    each = clips.clips([0, 1], frames=own)
    for clip in range(2):
        torch.testing.assert_close(each.video[clip], batch.video[clip, own[clip]], rtol=0, atol=2e-6)


def test_held_out_clips_and_other_seeds_are_other_clips(batch: ClipBatch) -> None:
    for other in (EndlessClips(7, SIZES, split="held_out"), EndlessClips(8, SIZES)):
        assert all((other.clips([clip]).empty - batch.clips([clip]).empty).abs().mean() > 0.02 for clip in range(3))


def test_nothing_differs_outside_the_mask(batch: ClipBatch) -> None:
    outside = (batch.mask == 0)[:, :, None].expand_as(batch.video)
    assert torch.equal(batch.video[outside], batch.empty[outside])
    inside = (batch.mask > 0.9)[:, :, None].expand_as(batch.video)
    changed = (batch.video != batch.empty)[inside]
    assert inside.any() and changed.float().mean() > 0.97
    assert batch.mask.max() == 1.0 and SHADOW < 0.5


def test_sentences_say_whether_somebody_is_there(clips: EndlessClips, batch: ClipBatch) -> None:
    there = clips.describe(range(24)).subject.there
    body = (batch.mask > 0.5).flatten(1).any(1)
    assert torch.equal(batch.mask.flatten(1).any(1) | ~there, torch.ones(24, dtype=torch.bool))
    assert not body[~there].any() and body[there].float().mean() > 0.9
    for words, somebody in zip(batch.words, there.tolist(), strict=True):
        assert any(word in words for word in ("empty", "nobody", "without")) != somebody
    nobody = EndlessClips(7, SIZES, mix=ClipMix(empty_share=1.0)).clips(range(4))
    assert nobody.mask.max() == 0 and torch.equal(nobody.video, nobody.empty)


def test_the_subject_starts_where_its_sentence_says() -> None:
    clips = EndlessClips(3, ClipSizes(2, 32, 32, 1, 8), mix=ClipMix(empty_share=0.0, moves=MoveMix({"static": 1.0})))
    batch = clips.clips(range(60), frames=[0])
    column = torch.arange(32.0) + 0.5
    weight = (batch.mask[:, 0] > 0.5).sum(1).float()
    middle = (weight * column).sum(1) / weight.sum(1)
    left = [at for at, words in zip(middle.tolist(), batch.words, strict=True) if "the left" in words.split(",")[0]]
    right = [at for at, words in zip(middle.tolist(), batch.words, strict=True) if "the right" in words.split(",")[0]]
    assert len(left) > 5 and len(right) > 5
    assert max(left) < 16 < min(right)


def test_the_first_frame_and_the_first_crop_look_the_same_way(batch: ClipBatch) -> None:
    eye = torch.eye(4).expand(24, 4, 4)
    torch.testing.assert_close(batch.T_start_camera[:, 0], eye, rtol=0, atol=1e-6)
    torch.testing.assert_close(batch.T_start_crop[:, 0], eye, rtol=0, atol=1e-6)
    seen = _resampled(batch.context[:, 0], batch.K_crop, batch.K, SIZES.width, SIZES.height)
    assert (seen - batch.empty[:, 0]).abs().median() < 0.05


def test_crops_turn_to_the_right_one_after_the_other(batch: ClipBatch) -> None:
    forward = batch.T_start_crop[0, :, :3, 2]
    angle = torch.atan2(forward[:, 0], forward[:, 2]) % (2 * math.pi)
    torch.testing.assert_close(angle, torch.arange(6) * math.pi / 3, rtol=0, atol=1e-5)


def test_crops_agree_with_the_panorama(clips: EndlessClips, batch: ClipBatch) -> None:
    scene = clips.describe(range(6))
    panorama = clips.panorama(scene, 256)
    for crop in range(6):
        seen = _from_panorama(panorama, batch.T_start_crop[0, crop, :3, :3], batch.K_crop[0], 32)
        difference = (seen - batch.context[:6, crop]).abs()
        assert difference.mean() < 0.06 and difference.median() < 0.03


def test_depth_and_poses_carry_every_frame_into_the_first(clips: EndlessClips) -> None:
    sizes = ClipSizes(frames=5, height=48, width=48, crops=1, crop_size=8)
    batch = EndlessClips(5, sizes, mix=ClipMix(empty_share=1.0)).clips(range(16))
    agreeing = []
    for frame in (1, 4):
        points = _lifted(batch.depth_m[:, frame], batch.K)
        T = batch.T_start_camera[:, frame]
        points = points @ T[:, :3, :3].transpose(1, 2) + T[:, None, :3, 3]
        u, v, z = (points @ batch.K.transpose(1, 2)).unbind(-1)
        column, row = (u / z).floor(), (v / z).floor()
        there = (z > 0.1) & z.isfinite() & (column >= 0) & (column < 48) & (row >= 0) & (row < 48)
        index = (row.clamp(0, 47) * 48 + column.clamp(0, 47)).nan_to_num().long()
        first = batch.depth_m[:, 0].flatten(1).gather(1, index)
        # The rest lies behind other things in the first frame, or on their edges.
        ratio = (first / z)[there]
        agreeing.append(((ratio > 0.96) & (ratio < 1.04)).float().mean())
    assert min(agreeing) > 0.8


def test_the_subject_stands_on_the_ground_inside_the_walls(clips: EndlessClips) -> None:
    scene = clips.describe(range(200))
    capsules = subject_capsules(scene.subject, scene.T_world_start, SHARES.expand(200, -1))
    radius = capsules.radius_m[:, None, :, None]
    low = torch.minimum(capsules.start_m, capsules.end_m) - radius
    high = torch.maximum(capsules.start_m, capsules.end_m) + radius
    there = scene.subject.there
    lowest = low[:, :, FEET, 1].amin(2)[there]
    airborne = torch.isin(scene.subject.action, torch.tensor([2, 5]))[there]  # Run and jump.
    torch.testing.assert_close(lowest[~airborne], torch.zeros_like(lowest[~airborne]), rtol=0, atol=1e-5)
    assert lowest[airborne].min() > -1e-5 and lowest[airborne].max() > 0.1
    limbs = (capsules.radius_m[there] > 0)[:, None]
    assert (low[there][..., 1].masked_fill(~limbs, 0.0) > -0.06).all()
    walls = scene.world.walls
    # The room keeps 0.6 m round the place where they stand; outstretched arms may go a little beyond.
    assert (low[there] > walls.low_m[there][:, None, None] - 0.35).all()
    assert (high[there][..., [0, 2]] < walls.high_m[there][:, None, None, [0, 2]] + 0.35).all()
    height = high[there][..., 1].masked_fill(~limbs, 0.0).amax(2).amax(1)
    assert (height > 0.9 * scene.subject.height_m[there]).all()


def test_the_subject_moves_smoothly(clips: EndlessClips) -> None:
    scene = clips.describe(range(100))
    fine = torch.linspace(0, 1, 82).expand(100, -1)
    capsules = subject_capsules(scene.subject, scene.T_world_start, fine)
    step = (capsules.end_m[:, 1:] - capsules.end_m[:, :-1]).norm(dim=-1)
    assert step.max() < 0.45 and (step.amax((1, 2)) > 0.001).all()


def test_the_camera_is_never_inside_anything(clips: EndlessClips) -> None:
    for mirrored in (False, True):
        scene = clips.describe(range(300), mirrored)
        T = scene.T_world_start[:, None] @ scene.moves.T_start_camera(SHARES.expand(300, -1))
        eye = T[..., :3, 3]
        walls, bodies = scene.world.walls, scene.world.bodies
        assert (eye > walls.low_m[:, None] + 0.25).all()
        assert (eye[..., [0, 2]] < walls.high_m[:, None, [0, 2]] - 0.25).all()
        assert (eye[..., 1] < walls.high_m[:, None, 1] - 0.2).all()
        off = eye[:, :, None] - bodies.centre_m[:, None]
        cos, sin = bodies.yaw_rad.cos()[:, None], bodies.yaw_rad.sin()[:, None]
        local = torch.stack(
            [cos * off[..., 0] - sin * off[..., 2], off[..., 1], sin * off[..., 0] + cos * off[..., 2]], -1
        )
        inside = (local.abs() < bodies.half_m[:, None] + 0.1).all(-1) & (bodies.shape != NONE)[:, None]
        assert not inside.any()
        limbs = subject_capsules(scene.subject, scene.T_world_start, SHARES.expand(300, -1))
        gap = (0.5 * (limbs.start_m + limbs.end_m) - eye[:, :, None]).norm(dim=-1) - limbs.radius_m[:, None]
        assert gap[scene.subject.there].min() > 0.15


def test_a_mirrored_clip_shows_the_same_set_on_the_other_path(clips: EndlessClips, batch: ClipBatch) -> None:
    other = clips.clips(range(24), mirrored=True)
    torch.testing.assert_close(other.context, batch.context, rtol=0, atol=2e-6)
    kinds = clips.describe(range(24)).moves.kind
    for clip, kind in enumerate(kinds.tolist()):
        ours, theirs = batch.T_start_camera[clip], other.T_start_camera[clip]
        if MOVES[kind] in ("pan", "arc", "truck"):
            flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
            turned = (flip @ ours @ flip)[:, :3, :3] if MOVES[kind] == "arc" else flip @ ours @ flip
            torch.testing.assert_close(theirs[:, : len(turned[0]), : len(turned[0])], turned, rtol=0, atol=1e-5)
        else:
            torch.testing.assert_close(theirs, ours)


@pytest.mark.parametrize(
    ("move", "amount", "axis"), [("pan", 1.2, None), ("arc", 1.0, None), ("truck", 1.0, 0), ("dolly", 0.5, 2)]
)
def test_moves_go_as_far_as_asked(move: str, amount: float, axis: int | None) -> None:
    clips = EndlessClips(1, SIZES, mix=ClipMix(moves=MoveMix({move: 1.0}, amount=amount)))
    T = clips.describe(range(20)).moves.T_start_camera(torch.tensor([0.0, 0.5, 1.0]).expand(20, -1))
    turned = torch.acos(((T[:, 2, 0, 0] + T[:, 2, 1, 1] + T[:, 2, 2, 2] - 1) / 2).clamp(-1, 1))
    if axis is None:
        torch.testing.assert_close(turned, torch.full_like(turned, amount), rtol=0, atol=1e-3)
    else:
        torch.testing.assert_close(T[:, 2, axis, 3].abs(), torch.full((20,), amount), rtol=0, atol=1e-5)
    sides = {int(side) for side in torch.sign(T[:, 2, 0, 2] if axis is None else T[:, 2, axis, 3])}
    assert sides == {-1, 1}


def test_an_arc_keeps_the_subject_where_it_is_in_the_picture() -> None:
    clips = EndlessClips(4, SIZES, mix=ClipMix(empty_share=0.0, moves=MoveMix({"arc": 1.0}, amount=1.2)))
    moves = clips.describe(range(12)).moves
    T = moves.T_start_camera(SHARES.expand(12, -1))
    seen = torch.einsum("bfji,bfj->bfi", T[..., :3, :3], moves.pivot_camera_m[:, None] - T[..., :3, 3])
    torch.testing.assert_close(seen, moves.pivot_camera_m[:, None].expand_as(seen), rtol=0, atol=1e-4)


def test_shuffling_keeps_crops_and_their_poses_together(batch: ClipBatch) -> None:
    mixed = batch.shuffled(torch.Generator().manual_seed(1))
    assert torch.equal(mixed.context[:, 0], batch.context[:, 0])
    assert not torch.equal(mixed.context, batch.context)
    for clip in range(4):
        for crop in range(6):
            same = [
                int(i) for i in range(6) if torch.equal(mixed.T_start_crop[clip, crop], batch.T_start_crop[clip, i])
            ]
            assert len(same) == 1
            assert torch.equal(mixed.context[clip, crop], batch.context[clip, same[0]])
            assert torch.equal(mixed.context_depth_m[clip, crop], batch.context_depth_m[clip, same[0]])


def test_batches_resume_where_they_stopped() -> None:
    sizes = ClipSizes(2, 8, 8, 2, 8)
    stream = endless(11, sizes, batch_size=3)
    next(stream)
    second = next(stream)
    resumed = next(endless(11, sizes, batch_size=3, first=3))
    assert resumed.words == second.words and torch.equal(resumed.video, second.video)


def _lifted(depth_m: torch.Tensor, K: torch.Tensor) -> torch.Tensor:
    """Camera points of all pixels."""
    batch, height, width = depth_m.shape
    column, row = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
    pixels = torch.stack([column, row, torch.ones_like(row)], -1).reshape(1, -1, 3)
    return (pixels @ torch.linalg.inv(K).transpose(1, 2)) * depth_m.reshape(batch, -1, 1)


def _resampled(picture: torch.Tensor, K: torch.Tensor, K_wanted: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """A picture as another lens would have taken it from the same place, in the same direction."""
    rays = _lifted(torch.ones(len(picture), height, width), K_wanted)
    size = torch.tensor([picture.shape[-1], picture.shape[-2]])
    place = (rays @ K.transpose(1, 2))[..., :2] / size * 2 - 1
    return torch.nn.functional.grid_sample(picture, place.view(-1, height, width, 2), align_corners=False)


def _from_panorama(panorama: torch.Tensor, R: torch.Tensor, K: torch.Tensor, side: int) -> torch.Tensor:
    """A perspective crop of an equirectangular picture."""
    rays = _lifted(torch.ones(1, side, side), K[None])[0] @ R.T
    yaw = torch.atan2(rays[:, 0], rays[:, 2]) / math.pi
    down = torch.atan2(rays[:, 1], rays[:, [0, 2]].norm(dim=1)) / (0.5 * math.pi)
    # The picture goes on beyond its left and right edge.
    wrapped = torch.nn.functional.pad(panorama, (8, 8, 0, 0), mode="circular")
    yaw = yaw * panorama.shape[-1] / wrapped.shape[-1]
    grid = torch.stack([yaw, down], -1).view(1, side, side, 2).expand(len(panorama), -1, -1, -1)
    return torch.nn.functional.grid_sample(wrapped, grid, align_corners=False)
