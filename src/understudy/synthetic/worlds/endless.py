"""Endless clips for training: every clip is made from its number, when it is asked for, on the device that trains."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.synthetic.worlds.camera_paths import MoveMix, SceneMoves, sample_moves
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.synthetic.worlds.raycast.caster import RaycastFrames, expose
from understudy.synthetic.worlds.raycast.views import View, panorama_view, pinhole_view
from understudy.synthetic.worlds.seeded_random import SeededRandom, Split
from understudy.synthetic.worlds.subject import Subject, sample_subject, subject_capsules
from understudy.synthetic.worlds.words import sentences
from understudy.synthetic.worlds.world import ROOM, World, sample_walls, sample_world

__all__ = ["CLIP_S", "ClipMix", "ClipSizes", "EndlessClips", "SceneDescription", "endless"]

CLIP_S = 5.4
"""How long a clip is, however many frames it has: 81 frames at 15 a second."""
CROP_FIELD_RAD = math.pi / 2
CAMERA_FIELD_RAD = math.radians(75.0)
PATH_SHARES = 9
"""At how many moments of a path its surroundings are kept clear."""


@dataclass(frozen=True)
class ClipSizes:
    """How large clips are."""

    frames: int = 9
    height: int = 32
    width: int = 32
    crops: int = 6
    """At equal angles all around, each 90° wide."""
    crop_size: int = 32
    field_rad: float = CAMERA_FIELD_RAD
    """Horizontal, of the frames."""

    @property
    def focal_px(self) -> float:
        """Of the frames."""
        return 0.5 * self.width / math.tan(0.5 * self.field_rad)

    @property
    def crop_focal_px(self) -> float:
        """Of the crops."""
        return 0.5 * self.crop_size / math.tan(0.5 * CROP_FIELD_RAD)


@dataclass(frozen=True)
class ClipMix:
    """What is filmed, and how often."""

    worlds: tuple[float, float, float] = (0.5, 0.25, 0.25)
    """Weights of rooms, courtyards and streets."""
    moves: MoveMix = field(default_factory=MoveMix)
    empty_share: float = 0.1
    """Clips without a subject."""


@dataclass(frozen=True)
class SceneDescription:
    """Everything about a batch of clips, before any picture is made."""

    world: World
    subject: Subject
    moves: SceneMoves
    T_world_start: Float[Tensor, "batch 4 4"]
    """The level start view."""
    words: list[str]

    def __len__(self) -> int:
        return len(self.words)


class EndlessClips:
    """Clips by number. Clip i is the same in every batch, on every device (up to rounding), in every process."""

    def __init__(
        self,
        seed: int,
        sizes: ClipSizes,
        device: torch.device | str = "cpu",
        split: Split = "train",
        mix: ClipMix | None = None,
    ) -> None:
        self.sizes = sizes
        self.mix = mix or ClipMix()
        self._seed, self._device = seed, torch.device(device)
        self._split: Split = split

    def describe(self, index: Sequence[int] | Tensor, mirrored: bool = False) -> SceneDescription:
        """The clips of some numbers; `mirrored`: the same sets and subjects, filmed on the path to the other side."""
        number = torch.as_tensor(index, dtype=torch.long).to(self._device)
        rng = SeededRandom.of_clips(self._seed, number, self._split)
        return describe(rng, self.mix, mirrored)

    def film(
        self, scene: SceneDescription, frames: Sequence[int] | Int[Tensor, "batch chosen"] | None = None
    ) -> ClipBatch:
        """Clips of a description; of all frames or, cheaper, only of some: the same ones or each clip's own."""
        sizes, batch = self.sizes, len(scene)
        share = self._shares(frames, batch)
        T_start_camera = scene.moves.T_start_camera(share)
        shot = self.frames(scene, T_start_camera, share)
        context, context_depth, T_start_crop = self.context(scene)
        unflat = (batch, share.shape[1])
        return ClipBatch(
            shot.video.unflatten(0, unflat), shot.empty.unflatten(0, unflat), shot.mask.unflatten(0, unflat),
            shot.depth_m.unflatten(0, unflat), T_start_camera,
            _intrinsics(sizes.focal_px, sizes.width, sizes.height, batch, self._device),
            context, context_depth, T_start_crop,
            _intrinsics(sizes.crop_focal_px, sizes.crop_size, sizes.crop_size, batch, self._device), scene.words,
        )  # fmt: skip

    def clips(
        self,
        index: Sequence[int] | Tensor,
        frames: Sequence[int] | Int[Tensor, "batch chosen"] | None = None,
        mirrored: bool = False,
    ) -> ClipBatch:
        """Clips of some numbers: `film(describe(index))`."""
        return self.film(self.describe(index, mirrored), frames)

    def context(
        self, scene: SceneDescription
    ) -> tuple[
        Float[Tensor, "batch crop 3 size size"], Float[Tensor, "batch crop size size"], Float[Tensor, "batch crop 4 4"]
    ]:
        """Pictures of the empty set from the start view's place, their depth in metres, and `T_start_crop`.

        Crop 0 looks as the first frame does; each next one is turned to the right by the same angle.
        """
        sizes, batch = self.sizes, len(scene)
        turn = torch.arange(sizes.crops, device=self._device) * (2 * math.pi / sizes.crops)
        T_start_crop = _turned_right(turn).expand(batch, -1, -1, -1)
        view = pinhole_view(sizes.crop_size, sizes.crop_size, sizes.crop_focal_px, self._device)
        shot = self._seen(scene, T_start_crop, view)
        unflat = (batch, sizes.crops)
        return shot.empty.unflatten(0, unflat), shot.depth_m.unflatten(0, unflat), T_start_crop.contiguous()

    def empty_views(
        self, scene: SceneDescription, T_start_camera: Float[Tensor, "batch view 4 4"]
    ) -> tuple[Float[Tensor, "batch view 3 height width"], Float[Tensor, "batch view height width"]]:
        """The empty sets from any cameras of the frames' size, and their depth in metres."""
        sizes = self.sizes
        view = pinhole_view(sizes.width, sizes.height, sizes.focal_px, self._device)
        shot = self._seen(scene, T_start_camera, view)
        unflat = T_start_camera.shape[:2]
        return shot.empty.unflatten(0, unflat), shot.depth_m.unflatten(0, unflat)

    def panorama(self, scene: SceneDescription, width: int) -> Float[Tensor, "batch 3 height width"]:
        """All around the start view's place, sRGB −1 … 1, twice as wide as high: the start view's +Z in the middle."""
        here = torch.eye(4, device=self._device).expand(len(scene), 1, 4, 4)
        return self._seen(scene, here, panorama_view(width, width // 2, self._device)).empty

    def batches(self, batch_size: int, first: int = 0) -> Iterator[ClipBatch]:
        """Batches for ever, from clip number `first` on: to resume, start where you stopped."""
        while True:
            yield self.clips(range(first, first + batch_size))
            first += batch_size

    def _shares(self, frames: Sequence[int] | Tensor | None, batch: int) -> Float[Tensor, "batch chosen"]:
        """At which share of the clip's time each frame is taken."""
        count = self.sizes.frames
        chosen = torch.as_tensor(range(count) if frames is None else frames, device=self._device)
        return (chosen.float() / max(count - 1, 1)).expand(batch, chosen.shape[-1])

    def frames(
        self,
        scene: SceneDescription,
        T_start_camera: Float[Tensor, "batch frame 4 4"],
        share: Float[Tensor, "batch frame"],
    ) -> RaycastFrames:
        """Frames with and without the subject from any cameras, at shares 0 … 1 of the clip's time, in one row."""
        sizes, (batch, frames) = self.sizes, share.shape
        view = pinhole_view(sizes.width, sizes.height, sizes.focal_px, self._device)
        capsules = subject_capsules(scene.subject, scene.T_world_start, share)
        clip = torch.arange(batch, device=self._device).repeat_interleave(frames)
        moment = torch.arange(frames, device=self._device).repeat(batch)
        T = (scene.T_world_start[:, None] @ T_start_camera).flatten(0, 1)
        return expose(scene.world, clip, T, view, capsules, moment)

    def _seen(
        self, scene: SceneDescription, T_start_camera: Float[Tensor, "batch view 4 4"], view: View
    ) -> RaycastFrames:
        clip = torch.arange(len(scene), device=self._device).repeat_interleave(T_start_camera.shape[1])
        return expose(scene.world, clip, (scene.T_world_start[:, None] @ T_start_camera).flatten(0, 1), view)


def endless(
    seed: int, sizes: ClipSizes, batch_size: int, device: torch.device | str = "cpu", first: int = 0
) -> Iterator[ClipBatch]:
    """Training batches for ever; `EndlessClips` has all options."""
    return EndlessClips(seed, sizes, device).batches(batch_size, first)


def describe(rng: SeededRandom, mix: ClipMix, mirrored: bool = False) -> SceneDescription:
    """Random clips: first who stands where and how the camera goes, then a set around that, for both mirror images."""
    kind = rng.stream("world kind").choice(mix.worlds)
    indoors = kind == ROOM
    stage = rng.stream("stage")
    subject = sample_subject(rng.stream("subject"), indoors, mix.empty_share)
    camera_height = stage.uniform(low=0.85, high=1.65)
    ceiling = stage.uniform(low=2.5, high=3.3)
    ends = torch.tensor([0.0, 0.5, 1.0], device=kind.device).expand(len(kind), 3)
    ground = subject.ground_camera_m(ends)
    middle = camera_height - 0.55 * subject.height_m
    pivot = torch.stack([ground[:, 1, 0], middle, ground[:, 1, 1]], 1)
    roof = torch.where(indoors, ceiling, torch.full_like(ceiling, 6.0))
    nearest = ground.norm(dim=-1).amin(1)
    moves = sample_moves(rng.stream("moves"), mix.moves, pivot, nearest, camera_height, roof, indoors)
    T_world_start = _start_view(stage.uniform(high=2 * math.pi), camera_height)
    share = torch.linspace(0, 1, PATH_SHARES, device=kind.device).expand(len(kind), PATH_SHARES)
    paths = torch.cat([moves.T_start_camera(share)[..., :3, 3], moves.mirrored().T_start_camera(share)[..., :3, 3]], 1)
    places = torch.stack([ground[..., 0], camera_height[:, None].expand(-1, 3), ground[..., 1]], -1)
    R, eye = T_world_start[:, :3, :3].transpose(1, 2), T_world_start[:, None, :3, 3]
    path_m, subject_m = paths @ R + eye, places @ R + eye
    walls = sample_walls(rng.stream("walls"), kind, ceiling, torch.cat([path_m, subject_m], 1))
    world = sample_world(rng.stream("set"), kind, walls, path_m, subject_m)
    words = sentences(rng.stream("words"), subject, kind)
    return SceneDescription(world, subject, moves.mirrored() if mirrored else moves, T_world_start, words)


def _start_view(yaw_rad: Float[Tensor, " batch"], height_m: Float[Tensor, " batch"]) -> Float[Tensor, "batch 4 4"]:
    """A level camera over the world's origin that looks along (sin yaw, 0, cos yaw)."""
    sin, cos, none = yaw_rad.sin(), yaw_rad.cos(), torch.zeros_like(yaw_rad)
    T = torch.zeros((len(yaw_rad), 4, 4), device=yaw_rad.device)
    T[:, :3, 0] = torch.stack([-cos, none, sin], 1)
    T[:, 1, 1] = -1.0
    T[:, :3, 2] = torch.stack([sin, none, cos], 1)
    T[:, 1, 3], T[:, 3, 3] = height_m, 1.0
    return T


def _turned_right(angle_rad: Float[Tensor, " crop"]) -> Float[Tensor, "crop 4 4"]:
    cos, sin = angle_rad.cos(), angle_rad.sin()
    T = torch.eye(4, device=angle_rad.device).repeat(len(angle_rad), 1, 1)
    T[:, 0, 0], T[:, 0, 2], T[:, 2, 0], T[:, 2, 2] = cos, sin, -sin, cos
    return T


def _intrinsics(
    focal_px: float, width: int, height: int, batch: int, device: torch.device
) -> Float[Tensor, "batch 3 3"]:
    K = torch.tensor([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]], device=device)
    return K.expand(batch, 3, 3).contiguous()
