"""Pictures as VGGT takes them: 518 pixels wide, sides multiples of 14, sRGB 0 … 1.

Source: the loader published with Wang et al., VGGT (CVPR 2025).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

__all__ = ["PATCH_PX", "SIZE_PX", "prepare_pictures"]

SIZE_PX = 518
PATCH_PX = 14


def prepare_pictures(
    pictures: Sequence[UInt8[np.ndarray, "_ _ _"]], fit: Literal["crop", "pad"] = "crop"
) -> Float[Tensor, "picture 3 rows columns"]:
    """Pictures of any sizes (height × width × 3 channels, or 4 with straight alpha) as one tensor, sRGB 0 … 1.

    "crop" makes every picture 518 pixels wide and keeps the middle 518 rows of a taller one; "pad" makes the longer
    side 518 pixels and fills up to a square. Transparent pixels and all padding are white; pictures that then differ
    in size are padded to the largest.
    """
    if not pictures:
        raise ValueError("prepare_pictures takes at least one picture; got none")
    fitted = [_fit(picture, fit) for picture in pictures]
    height = max(picture.shape[-2] for picture in fitted)
    width = max(picture.shape[-1] for picture in fitted)
    return torch.stack([_padded(picture, height, width) for picture in fitted])


def _fit(picture: UInt8[np.ndarray, "height width channel"], fit: str) -> Float[Tensor, "3 rows columns"]:
    image = Image.fromarray(picture)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    width, height = image.size
    if fit == "crop" or width >= height:
        size = (SIZE_PX, _to_patches(height * (SIZE_PX / width)))
    else:
        size = (_to_patches(width * (SIZE_PX / height)), SIZE_PX)
    resized = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    tensor = torch.from_numpy(resized.copy()).permute(2, 0, 1).float() / 255
    if fit == "pad":
        return _padded(tensor, SIZE_PX, SIZE_PX)
    top = max(0, (size[1] - SIZE_PX) // 2)
    return tensor[:, top : top + SIZE_PX]


def _to_patches(length: float) -> int:
    return max(PATCH_PX, round(length / PATCH_PX) * PATCH_PX)


def _padded(picture: Float[Tensor, "3 height width"], rows: int, columns: int) -> Float[Tensor, "3 rows columns"]:
    below, right = rows - picture.shape[-2], columns - picture.shape[-1]
    return F.pad(picture, (right // 2, right - right // 2, below // 2, below - below // 2), value=1.0)
