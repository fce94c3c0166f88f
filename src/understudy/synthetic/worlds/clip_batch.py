"""A batch of filmed scenes: the same camera path with and without a subject, and pictures of the empty set.

Everything is a tensor on one device; the world of a clip is its first camera (OpenCV axes, metres).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["ClipBatch"]

PER_FRAME = ("video", "empty", "mask", "depth_m", "T_start_camera")
PER_CROP = ("context", "context_depth_m", "T_start_crop")


@dataclass(frozen=True)
class ClipBatch:
    """Clips of one size, each with its context."""

    video: Float[Tensor, "batch frame 3 height width"]
    """sRGB, −1 … 1, with the subject."""
    empty: Float[Tensor, "batch frame 3 height width"]
    """The same path without the subject."""
    mask: Float[Tensor, "batch frame height width"]
    """Coverage of the subject, 0 … 1: outside it (0) `video` equals `empty`."""
    depth_m: Float[Tensor, "batch frame height width"]
    """Of the empty set, along the camera's +Z; the sky is `inf`."""
    T_start_camera: Float[Tensor, "batch frame 4 4"]
    """Each frame's camera to the first frame's camera."""
    K: Float[Tensor, "batch 3 3"]
    """Intrinsics in pixels; the centre of the first pixel is (0.5, 0.5)."""
    context: Float[Tensor, "batch crop 3 size size"]
    """Pictures of the empty set from the first camera's position, −1 … 1; crop 0 looks as the first frame does."""
    context_depth_m: Float[Tensor, "batch crop size size"]
    T_start_crop: Float[Tensor, "batch crop 4 4"]
    """Each crop's camera to the first frame's camera."""
    K_crop: Float[Tensor, "batch 3 3"]
    words: list[str]
    """A sentence per clip."""

    def __len__(self) -> int:
        return len(self.video)

    def to(self, device: torch.device | str) -> "ClipBatch":
        """The same batch on another device."""
        return self._changed(lambda tensor: tensor.to(device), *self._tensors())

    def frames(self, index: Sequence[int] | Tensor) -> "ClipBatch":
        """Some of the frames, in the order of `index`; poses stay relative to the clip's own first camera."""
        chosen = torch.as_tensor(index, device=self.video.device)
        return self._changed(lambda tensor: tensor[:, chosen], *PER_FRAME)

    def clips(self, index: Sequence[int] | Tensor) -> "ClipBatch":
        """Some of the clips, in the order of `index`."""
        chosen = torch.as_tensor(index, device=self.video.device)
        part = self._changed(lambda tensor: tensor[chosen], *self._tensors())
        return replace(part, words=[self.words[int(clip)] for clip in chosen])

    def shuffled(self, generator: torch.Generator | None = None) -> "ClipBatch":
        """The crops of each clip in an order of its own: crop 0 stays first, the rest are permuted together.

        `generator` lives on the CPU. Source: CineScene, shuffled context.
        """
        batch, crops = self.context.shape[:2]
        order = torch.rand((batch, crops), generator=generator)
        order[:, 0] = -1.0  # Below every other, so that sorting leaves it in front.
        chosen = order.argsort(1).to(self.context.device)
        clip = torch.arange(batch, device=self.context.device)[:, None]
        return self._changed(lambda tensor: tensor[clip, chosen], *PER_CROP)

    def _tensors(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self) if field.name != "words")

    def _changed(self, change: Callable[[Tensor], Tensor], *names: str) -> "ClipBatch":
        return replace(self, **{name: change(getattr(self, name)) for name in names})
