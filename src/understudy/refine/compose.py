"""One rendered frame into its plate, in linear light."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.passes import Layer, covered_box
from understudy.imaging.colour import LUMA, linear_from_srgb_bytes, srgb_bytes_from_linear, srgb_levels_from_linear
from understudy.imaging.grain import Grain, grain_field

__all__ = ["Look", "compose"]


@dataclass(frozen=True)
class Look:
    """What makes a render belong to a shot. One for the whole shot, so that nothing flickers."""

    shadow_share: Float[np.ndarray, "3"]
    """How much of the ground's light a full shadow takes away, for red, green, blue, 0 … 1."""
    gain: Float[np.ndarray, "3"]
    """Exposure and white balance of the character, in linear light."""
    black: Float[np.ndarray, "3"]
    """The linear light that the lens and the film put into the deepest black."""
    blur_px: float
    """Radius (sigma) of the blur that gives the render the shot's sharpness; 0: none."""
    grain: Grain | None
    """None: no grain."""
    light_wrap: float
    """How much of the light around the character bleeds over its edges, 0 … 1."""
    wrap_px: float
    """How far it bleeds."""


def compose(
    plate: UInt8[np.ndarray, "height width 3"], layer: Layer, look: Look, frame: int
) -> UInt8[np.ndarray, "height width 3"]:
    """The plate with the character's shadow on its ground and the character over it.

    Pixels that neither the character nor its shadow touches are the plate's own bytes. `frame` seeds the grain.

    Source of the over operator: Porter and Duff 1984, Compositing digital images.
    """
    result = plate.copy()
    _darken(result, layer, look)
    box = _around(layer.alpha, 3 * max(look.blur_px, 0.0))
    if box is None:
        return result
    colour, alpha = _through_the_lens(layer.colour[box], layer.alpha[box], look)
    set_light = linear_from_srgb_bytes(plate[box])
    if look.light_wrap > 0:
        colour = _wrapped(colour, alpha, set_light, look)
    ground = set_light * (1 - layer.shadow[box][..., None] * look.shadow_share.astype(np.float32))
    covered = alpha > 0
    share = alpha[covered][:, None]
    light = colour[covered] + (1 - share) * ground[covered]
    if look.grain is None:
        result[box][covered] = srgb_bytes_from_linear(light)
        return result
    luminance = np.zeros(alpha.shape, np.float32)
    coded = srgb_levels_from_linear(light)
    luminance[covered] = cv2.transform(coded[None], LUMA[None])[0]
    coded += share * grain_field(look.grain, luminance, frame)[covered]
    result[box][covered] = np.clip(np.rint(coded), 0, 255).astype(np.uint8)
    return result


def _darken(picture: UInt8[np.ndarray, "height width 3"], layer: Layer, look: Look) -> None:
    """Take the key light from the ground where the shadow falls, in place."""
    box = covered_box(layer.shadow)
    shadow = layer.shadow[box]
    dark = shadow > 0
    ground = linear_from_srgb_bytes(picture[box][dark])
    lit = 1 - shadow[dark][:, None] * look.shadow_share.astype(np.float32)
    picture[box][dark] = srgb_bytes_from_linear(ground * lit)


def _around(alpha: Float[np.ndarray, "height width"], margin: float) -> tuple[slice, slice] | None:
    """Rows and columns that the character touches, with room for the blur."""
    rows, columns = covered_box(alpha)
    if rows.stop == 0:
        return None
    room = int(np.ceil(margin))
    return (
        slice(max(rows.start - room, 0), rows.stop + room),
        slice(max(columns.start - room, 0), columns.stop + room),
    )


def _through_the_lens(
    colour: Float[np.ndarray, "height width 3"], alpha: Float[np.ndarray, "height width"], look: Look
) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
    """Exposure, veil and sharpness of the shot."""
    black = look.black.astype(np.float32)
    if (look.gain != 1).any() or black.any():
        colour = colour * (look.gain.astype(np.float32) * (1 - black)) + alpha[..., None] * black
    if look.blur_px > 0.05:
        both = cv2.GaussianBlur(np.dstack([colour, alpha]), (0, 0), look.blur_px, borderType=cv2.BORDER_REPLICATE)
        colour, alpha = both[..., :3], both[..., 3]
        # Below a thousandth the blur's tail is nothing that a byte can show.
        alpha = np.where(alpha < 1e-3, np.float32(0), alpha)
        colour = np.where(alpha[..., None] > 0, colour, np.float32(0))
    return colour, alpha


def _wrapped(
    colour: Float[np.ndarray, "height width 3"],
    alpha: Float[np.ndarray, "height width"],
    set_light: Float[np.ndarray, "height width 3"],
    look: Look,
) -> Float[np.ndarray, "height width 3"]:
    """The set's light, blurred, over the character's rim."""
    # At a quarter of the size: the wrap is soft.
    height, width = alpha.shape
    small = (max(width // 4, 1), max(height // 4, 1))
    outside = cv2.resize(1 - alpha, small, interpolation=cv2.INTER_AREA)
    behind = cv2.resize(set_light, small, interpolation=cv2.INTER_AREA) * outside[..., None]
    radius = max(look.wrap_px / 4, 0.5)
    outside = cv2.GaussianBlur(outside, (0, 0), radius)
    behind = cv2.GaussianBlur(behind, (0, 0), radius) / np.maximum(outside, 1e-3)[..., None]
    share = look.light_wrap * cv2.resize(outside, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    behind = cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR)
    # A mix, not a sum: where the set and the character are alike, nothing changes.
    return colour * (1 - share) + alpha[..., None] * share * behind
