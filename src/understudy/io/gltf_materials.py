"""Surfaces of a glTF document as our materials.

Ours are simpler: one texture for colour; metallic, roughness and emission as single numbers, for which the mean of a
glTF texture stands. Source: Khronos glTF 2.0 specification, section 3.9; the extensions' own pages.
"""

import io
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, UnidentifiedImageError

from understudy.core.character import Material
from understudy.core.errors import CharacterError
from understudy.io.gltf_document import GltfDocument

__all__ = ["colour_atlas", "read_material", "texture_slot", "transform_uv"]

MAX_TEXTURE_PIXELS = 16384 * 8192
BLEND_CUTOFF = 0.5
"""Our surfaces are opaque or holes; see-through ones (alphaMode BLEND) become holes below this."""


def read_material(document: GltfDocument, index: int | None) -> Material:
    """A material of the document; glTF's default for None.

    Raises:
        CharacterError: a texture is absent, outside the file's folder, not a picture, or absurdly large.
    """
    if index is None:
        return Material("default", metallic=0.0, roughness=1.0)
    source = document.entry("materials", index)
    extensions = source.get("extensions", {})
    surface = source.get("pbrMetallicRoughness", {})
    metallic, roughness = surface.get("metallicFactor", 1.0), surface.get("roughnessFactor", 1.0)
    if "metallicRoughnessTexture" in surface:
        mean = read_texture(document, surface["metallicRoughnessTexture"])[..., :3].mean((0, 1)) / 255.0
        metallic, roughness = metallic * mean[2], roughness * mean[1]
    colour = surface.get("baseColorFactor", (1.0, 1.0, 1.0, 1.0))
    slot = texture_slot(source)
    if "KHR_materials_pbrSpecularGlossiness" in extensions:
        glossy = extensions["KHR_materials_pbrSpecularGlossiness"]
        colour = glossy.get("diffuseFactor", (1.0, 1.0, 1.0, 1.0))
        metallic, roughness = 0.0, 1.0 - glossy.get("glossinessFactor", 1.0)
    if "KHR_materials_unlit" in extensions:
        metallic, roughness = 0.0, 1.0
    mode = source.get("alphaMode", "OPAQUE")
    cutoff = {"OPAQUE": None, "MASK": source.get("alphaCutoff", 0.5), "BLEND": BLEND_CUTOFF}[mode]
    return Material(
        name=source.get("name", f"material {index}"),
        base_colour=tuple(float(value) for value in colour),
        texture=None if slot is None else read_texture(document, slot),
        metallic=float(np.clip(metallic, 0, 1)),
        roughness=float(np.clip(roughness, 0, 1)),
        emissive=read_emission(document, source),
        alpha_cutoff=cutoff,
        double_sided=bool(source.get("doubleSided", False)),
    )


def read_emission(document: GltfDocument, source: dict[str, Any]) -> tuple[float, float, float]:
    """Emitted light, linear: factor times strength times the mean of the texture."""
    emissive = np.array(source.get("emissiveFactor", (0.0, 0.0, 0.0)), np.float64).reshape(3)
    strength = source.get("extensions", {}).get("KHR_materials_emissive_strength", {}).get("emissiveStrength", 1.0)
    if "emissiveTexture" in source and emissive.any():
        texture = read_texture(document, source["emissiveTexture"])[..., :3] / 255.0
        emissive = emissive * (texture**2.2).mean((0, 1))
    r, g, b = (float(value) for value in emissive * strength)
    return r, g, b


def texture_slot(source: dict[str, Any]) -> dict[str, Any] | None:
    """The reference to the colour texture of a material's JSON; None without one."""
    glossy = source.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness", {})
    return glossy.get("diffuseTexture") or source.get("pbrMetallicRoughness", {}).get("baseColorTexture")


def read_texture(document: GltfDocument, slot: dict[str, Any]) -> UInt8[np.ndarray, "height width 4"]:
    """The picture behind a texture reference, as sRGB bytes with straight alpha."""
    texture = document.entry("textures", slot["index"])
    webp = texture.get("extensions", {}).get("EXT_texture_webp", {})
    image = document.entry("images", webp.get("source", texture.get("source", -1)))
    data = (
        bytes(document.buffer_view(image["bufferView"])) if "bufferView" in image else document.resource(image["uri"])
    )
    name = image.get("name") or f"texture {slot['index']}"
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width * picture.height > MAX_TEXTURE_PIXELS:
                raise CharacterError(
                    f"{document.path.name}: {name} has {picture.width}×{picture.height} pixels; "
                    "up to 16384×8192 are read"
                )
            return np.array(picture.convert("RGBA"))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise CharacterError(f"{document.path.name}: {name} is no readable PNG or JPEG ({error})") from error


def transform_uv(uv: Float[np.ndarray, "vertex 2"], slot: dict[str, Any]) -> Float[np.ndarray, "vertex 2"]:
    """Texture coordinates with KHR_texture_transform applied."""
    change = slot.get("extensions", {}).get("KHR_texture_transform")
    if not change:
        return uv
    scale, angle = np.array(change.get("scale", (1.0, 1.0)), np.float64), change.get("rotation", 0.0)
    offset = np.array(change.get("offset", (0.0, 0.0)), np.float64)
    c, s = np.cos(angle), np.sin(angle)
    return (uv * scale) @ np.array([[c, s], [-s, c]]).T + offset


def colour_atlas(
    colours: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"]
) -> tuple[UInt8[np.ndarray, "height width 4"], Float[np.ndarray, "corner 2"]]:
    """A texture that shows vertex colours, and the uv of each face's three corners (3 × face rows).

    Each face owns 2 × 2 texels: its corners at three texel centres and the plane through them at the fourth, so that
    bilinear sampling gives exactly the linear blend of the corner colours. Colours are linear, 0 … 1.
    """
    columns = max(1, int(np.ceil(np.sqrt(len(faces)))))
    rows = max(1, -(-len(faces) // columns))
    a, b, c = (colours[faces[:, corner]] for corner in range(3))
    texels = np.zeros((rows * columns, 2, 2, 3))
    texels[: len(faces)] = np.stack([np.stack([a, b], 1), np.stack([c, b + c - a], 1)], 1)
    linear = np.clip(texels.reshape(rows, columns, 2, 2, 3).transpose(0, 2, 1, 3, 4), 0, 1)
    linear = linear.reshape(2 * rows, 2 * columns, 3)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    picture = np.full((2 * rows, 2 * columns, 4), 255, np.uint8)
    picture[..., :3] = np.round(255 * srgb)
    face = np.arange(len(faces))
    corner = np.stack([2 * (face % columns), 2 * (face // columns)], -1)[:, None] + np.array([[0, 0], [1, 0], [0, 1]])
    return picture, ((corner + 0.5) / (2 * columns, 2 * rows)).reshape(-1, 2)
