"""What the video model is told, as tensors: camera path, pictures of the set, their geometry, and words.

The world of a clip is its first camera (OpenCV axes, metres), which the first picture of the set must share.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.videogen.transformer.rays import FARTHEST_M, patch_points, plucker_rays

__all__ = [
    "CONDITIONS",
    "CameraMode",
    "Conditions",
    "ContextMode",
    "GeometryPart",
    "GeometrySource",
    "GeometryUse",
    "OracleGeometry",
    "SetGeometry",
    "at_size",
    "camera_numbers",
    "joined",
    "mapped",
    "overwrite",
]

CONDITIONS = ("words", "set", "camera")
"""What can be dropped in training and guided in sampling; the set is its pictures, their geometry and any guide."""

CameraMode = Literal["none", "matrix", "rays"]
"""How the path enters: not at all; 12 numbers [R|t] per frame, nothing on the context (CineScene, section 3); or a ray
per patch, by one embedding for video and context."""

ContextMode = Literal["none", "frames", "added"]
"""How pictures I_t and geometry F_t enter: not at all; as two runs of tokens joined along the frames (CineScene); or
F_t added to the tokens of the picture it belongs to."""

GeometryUse = Literal["none", "input", "aligned"]
"""Whether F_t is left out, given as context, or only the target that hidden states of I_t are drawn to."""

GeometryPart = Literal["whole", "patches", "camera"]
"""Which part of F_t is used: both, the patch tokens F_i alone, or the camera token F_c alone."""

Noun = TypeVar("Noun", bound="Dataclass")


@dataclass(frozen=True)
class SetGeometry:
    """F_t: what is known of the shape of the set, patch by patch of its pictures."""

    features: Float[Tensor, "batch picture token channel"]
    """On a grid of patches, row by row."""
    rays: Float[Tensor, "batch picture token 6"] | None = None
    """Plücker rays of the patches in the start frame, where the source knows them: they enter as the video's do."""
    points: Float[Tensor, "batch picture token 14"] | None = None
    """Where the patches lie in the start frame (`rays.point_numbers`), where the source knows it."""


@runtime_checkable
class GeometrySource(Protocol):
    """Makes F_t of the pictures of a batch."""

    @property
    def channels(self) -> int:
        """Of its features."""
        ...

    def __call__(self, batch: ClipBatch, rows: int, columns: int) -> SetGeometry:
        """F_t on a grid of patches."""
        ...


@dataclass(frozen=True)
class Conditions:
    """Everything the model is told about a batch of clips."""

    T_start_camera: Float[Tensor, "batch frame 4 4"]
    K: Float[Tensor, "batch 3 3"]
    """Intrinsics of the clip, in pixels of the clip."""
    frame_number: Float[Tensor, "batch frame"]
    """Which frames of the whole clip these are, from 0."""
    pictures: Float[Tensor, "batch picture 3 height width"]
    """Of the empty set, sRGB, −1 … 1; the first is the view from which the clip starts."""
    word_ids: Int[Tensor, "batch word"]
    absent: Bool[Tensor, "batch 3"]
    """Which of CONDITIONS is not told."""
    geometry: SetGeometry | None = None
    guide: Float[Tensor, "batch frame 4 height width"] | None = None
    """Explicit 3D: the pictures' point cloud seen along the path (sRGB −1 … 1) and where it has points (1) or none."""

    def __len__(self) -> int:
        return len(self.K)

    def frames(self, index: Sequence[int] | Int[Tensor, " chosen"]) -> "Conditions":
        """Some of the frames, in the order of `index`."""
        chosen = torch.as_tensor(index, device=self.K.device)
        return replace(
            self,
            T_start_camera=self.T_start_camera[:, chosen],
            frame_number=self.frame_number[:, chosen],
            guide=None if self.guide is None else self.guide[:, chosen],
        )

    def without(self, names: frozenset[str]) -> "Conditions":
        """The same with some of CONDITIONS taken away from every clip.

        Raises:
            ValueError: a name that is not in CONDITIONS.
        """
        if unknown := names - set(CONDITIONS):
            raise ValueError(f"{sorted(unknown)} are no conditions; known: {', '.join(CONDITIONS)}")
        gone = torch.tensor([name in names for name in CONDITIONS], device=self.absent.device)
        return replace(self, absent=self.absent | gone)

    def dropped(self, probability: float, generator: torch.Generator) -> "Conditions":
        """Each condition of each clip taken away by chance, so that guidance has something to compare with."""
        chance = torch.rand(self.absent.shape, generator=generator).to(self.absent.device)
        return replace(self, absent=self.absent | (chance < probability))

    def shuffled(self, generator: torch.Generator) -> "Conditions":
        """The pictures of each clip in an order of its own, geometry with them; the first stays (CineScene, 3.4)."""
        batch, pictures = self.pictures.shape[:2]
        rank = torch.rand((batch, pictures), generator=generator)
        rank[:, 0] = -1.0
        order = rank.argsort(1).to(self.pictures.device)
        clip = torch.arange(batch, device=order.device)[:, None]
        geometry = None if self.geometry is None else mapped(self.geometry, lambda tensor: tensor[clip, order])
        return replace(self, pictures=self.pictures[clip, order], geometry=geometry)


@runtime_checkable
class Dataclass(Protocol):
    """Any dataclass, as type checkers know it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def mapped(noun: Noun, change: Callable[[Tensor], Tensor]) -> Noun:
    """A dataclass of tensors, nested or absent ones included, with each tensor changed."""
    changed = {}
    for field in dataclasses.fields(noun):
        value = getattr(noun, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = change(value)
        elif isinstance(value, Dataclass):
            changed[field.name] = mapped(value, change)
    return replace(noun, **changed)


def joined(nouns: Sequence[Noun]) -> Noun:
    """Dataclasses of tensors as one, along the batch."""
    changed = {}
    for field in dataclasses.fields(nouns[0]):
        values = [getattr(noun, field.name) for noun in nouns]
        if isinstance(values[0], Tensor):
            changed[field.name] = torch.cat(values)
        elif isinstance(values[0], Dataclass):
            changed[field.name] = joined(values)
    return replace(nouns[0], **changed)


def overwrite(noun: Noun, part: Noun, first: int) -> None:
    """Copy the tensors of `part` into those of `noun`, along the batch from `first` on."""
    for field in dataclasses.fields(noun):
        whole, value = getattr(noun, field.name), getattr(part, field.name)
        if isinstance(whole, Tensor):
            whole[first : first + len(value)] = value
        elif isinstance(whole, Dataclass):
            overwrite(whole, value, first)


def at_size(
    pictures: Float[Tensor, "batch picture 3 height width"], size_px: int
) -> Float[Tensor, "batch picture 3 size_px size_px"]:
    """Pictures at the size that a model takes, each of its pixels the mean of those that it stands for."""
    if pictures.shape[-1] == size_px:
        return pictures
    sized = F.interpolate(pictures.flatten(0, 1), size=(size_px, size_px), mode="bilinear", antialias=True)
    return sized.unflatten(0, pictures.shape[:2])


def camera_numbers(T_start_camera: Float[Tensor, "batch frame 4 4"]) -> Float[Tensor, "batch frame 12"]:
    """The paper's camera code: the rows of [R|t] of every frame, t in metres."""
    return T_start_camera[..., :3, :].flatten(-2)


@dataclass(frozen=True)
class OracleGeometry:
    """F_t from the truth: the upper bound of what an encoder could tell."""

    part: GeometryPart = "whole"
    """"patches" knows each patch's depth and place in its own picture, "camera" where each picture looks."""

    @property
    def channels(self) -> int:
        """The ray's six, logarithm of depth, inverse depth, share of sky."""
        return 9

    def __call__(self, batch: ClipBatch, rows: int, columns: int) -> SetGeometry:
        """Rays of the patches, and means over them of what depth says."""
        height = batch.context.shape[-2]
        T_start_crop = batch.T_start_crop
        if self.part == "patches":
            T_start_crop = torch.eye(4, device=T_start_crop.device).expand_as(T_start_crop)
        rays = plucker_rays(T_start_crop, batch.K_crop, rows, columns, height // rows)
        if self.part == "camera":
            forward = T_start_crop[..., None, :3, 2].expand_as(rays[..., :3])
            origin = T_start_crop[..., None, :3, 3].expand_as(forward)
            rays = torch.cat([forward, torch.linalg.cross(origin, forward)], -1)
        depth_m = batch.context_depth_m.clamp(max=FARTHEST_M)
        known = torch.stack([depth_m.log(), 1 / depth_m, (depth_m >= FARTHEST_M).float()], 2)
        pooled = F.adaptive_avg_pool2d(known.flatten(0, 1), (rows, columns))
        depths = pooled.reshape(*known.shape[:3], rows * columns).mT
        if self.part == "camera":
            return SetGeometry(torch.cat([rays, torch.zeros_like(depths)], -1), rays)
        points = patch_points(depth_m, batch.K_crop, T_start_crop, rows, columns)
        return SetGeometry(torch.cat([rays, depths], -1), rays, points)
