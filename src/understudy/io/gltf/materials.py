"""Surfaces of a glTF document as our materials.

Ours are simpler: one texture for colour; metallic, roughness, emission and reflection as single numbers, for which the
mean of a glTF texture stands. Source: Khronos glTF 2.0 specification, section 3.9; the extensions' own pages.
"""

import io
import struct
import warnings
import zlib

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from PIL.ImageFile import ImageFile

from understudy.core.character import Material
from understudy.io.gltf.document import GltfDocument, reading_rig
from understudy.io.gltf.records import ImageEntry, MaterialEntry, TextureSlot
from understudy.runtime.errors import CharacterError, quoted

__all__ = ["read_materials", "texture_slot", "transform_uv"]

MAX_TEXTURE_PIXELS = 8192 * 8192
INFLATED_AT_ONCE = 1 << 20
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of the colour types."""
BLEND_CUTOFF = 0.5
"""Our surfaces are opaque or holes; see-through ones (alphaMode BLEND) become holes below this."""
LEVELS = np.arange(256) / 255.0
DIELECTRIC_IOR = 1.5
"""Of glTF's dielectrics, which reflect 0.04 of light from straight ahead."""


def read_materials(document: GltfDocument, indices: list[int | None]) -> list[Material]:
    """Materials of the document; glTF's default for None. A picture that several of them show is decoded once.

    Raises:
        CharacterError: a texture is absent, outside the file's folder, not a picture, or absurdly large.
    """
    textures: dict[int, np.ndarray] = {}
    means: dict[int, np.ndarray] = {}
    with reading_rig(document.path):
        claim_pictures(document, indices)
        return [read_material(document, index, textures, means) for index in indices]


def read_material(
    document: GltfDocument, index: int | None, textures: dict[int, np.ndarray], means: dict[int, np.ndarray]
) -> Material:
    """One material; pictures that were decoded before are in `textures`, what others average to in `means`."""
    if index is None:
        return Material("default", metallic=0.0, roughness=1.0)
    source: MaterialEntry = document.entry("materials", index)
    surface, glossy = source.pbr_metallic_roughness, source.extensions.glossy
    metallic, roughness = surface.metallic_factor, surface.roughness_factor
    if surface.metallic_roughness_texture is not None:
        mean = mean_levels(document, surface.metallic_roughness_texture, means) @ LEVELS
        metallic, roughness = metallic * mean[2], roughness * mean[1]
    colour, slot = surface.base_color_factor, texture_slot(source)
    if glossy is not None:
        colour = glossy.diffuse_factor
        metallic, roughness = 0.0, 1.0 - glossy.glossiness_factor
    specular, specular_colour = read_specular(document, source, means)
    if source.extensions.unlit is not None:
        metallic, roughness, specular = 0.0, 1.0, 0.0
    emissive = np.array(source.emissive_factor) * source.extensions.strength.emissive_strength
    if source.emissive_texture is not None and emissive.any():
        emissive = emissive * (mean_levels(document, source.emissive_texture, means) @ LEVELS**2.2)[:3]
    r, g, b = (float(value) for value in emissive)
    red, green, blue = (float(value) for value in specular_colour)
    cutoff = {"OPAQUE": None, "MASK": source.alpha_cutoff, "BLEND": BLEND_CUTOFF}[source.alpha_mode]
    return Material(
        name=source.name or f"material {index}",
        base_colour=colour,
        texture=None if slot is None else read_texture(document, slot, textures),
        metallic=float(np.clip(metallic, 0, 1)),
        roughness=float(np.clip(roughness, 0, 1)),
        specular=float(np.clip(specular, 0, 1)),
        specular_colour=(red, green, blue),
        emissive=(r, g, b),
        alpha_cutoff=cutoff,
        double_sided=source.double_sided,
    )


def read_specular(
    document: GltfDocument, source: MaterialEntry, means: dict[int, np.ndarray]
) -> tuple[float, Float[np.ndarray, "3"]]:
    """How much of a dielectric's reflection a material has, and its colour, which takes in the index of refraction.

    Source: KHR_materials_specular and KHR_materials_ior, sections Implementation.
    """
    reflection = source.extensions.specular
    specular, colour = reflection.specular_factor, np.array(reflection.specular_color_factor)
    if reflection.specular_texture is not None:
        specular *= float((mean_levels(document, reflection.specular_texture, means) @ LEVELS)[3])
    if reflection.specular_color_texture is not None:
        colour = colour * (mean_levels(document, reflection.specular_color_texture, means) @ LEVELS**2.2)[:3]
    ours = reflectance(DIELECTRIC_IOR)
    return specular, np.clip(colour * reflectance(source.extensions.refraction.ior) / ours, 0, 1 / ours)


def reflectance(ior: float) -> float:
    """What a dielectric in air reflects of light from straight ahead (Fresnel's equations); all of it with ior 0."""
    ior = float(np.clip(ior, 0, 1e6))
    return ((ior - 1) / (ior + 1)) ** 2


def texture_slot(source: MaterialEntry) -> TextureSlot | None:
    """The reference to the colour texture of a material; None without one."""
    glossy = source.extensions.glossy
    return (glossy and glossy.diffuse_texture) or source.pbr_metallic_roughness.base_color_texture


def claim_pictures(document: GltfDocument, indices: list[int | None]) -> None:
    """See what the pictures of some materials take, all together, before any of them is decoded.

    Raises:
        CharacterError: they are no pictures, or too large.
    """
    sources = [document.entry("materials", index) for index in indices if index is not None]
    kept = {image_index(document, slot) for slot in map(texture_slot, sources) if slot is not None}
    averaged = {
        image_index(document, slot) for source in sources for slot in averaged_slots(source) if slot is not None
    }
    for index in kept | averaged:
        picture = open_image(document, index)
        # What is averaged does not stay, but to decode it takes time.
        document.pixels.take(f"picture {index}", picture.width, picture.height, bytes_each=4 if index in kept else 1)
    for index in kept | averaged:
        check_whole(open_image(document, index))


def averaged_slots(source: MaterialEntry) -> tuple[TextureSlot | None, ...]:
    """The references to those textures of a material for which their mean stands."""
    reflection = source.extensions.specular
    return (
        source.pbr_metallic_roughness.metallic_roughness_texture,
        source.emissive_texture,
        reflection.specular_texture,
        reflection.specular_color_texture,
    )


def check_whole(picture: ImageFile) -> None:
    """See that a picture can be decoded to its end, without the memory that all its pixels take.

    Raises:
        OSError, ValueError, zlib.error: it cannot.
    """
    if picture.format == "JPEG":
        picture.draft("RGB", (max(1, picture.width // 8), max(1, picture.height // 8)))
        picture.load()
    elif picture.format == "PNG":
        data = picture.fp.getvalue() if isinstance(picture.fp, io.BytesIO) else b""
        picture.verify()
        depth, kind, interlaced = data[24], data[25], data[28]
        row = 1 + (picture.width * depth * PNG_CHANNELS[kind] + 7) // 8
        if inflated(data, row * picture.height) < row * picture.height and not interlaced:
            raise ValueError("a picture in it ends too early")


def inflated(png: bytes, max_bytes: int) -> int:
    """How many bytes the pixels of a PNG unpack to, up to `max_bytes`. Source: PNG specification, sections 5 and 10."""
    inflate, found, at = zlib.decompressobj(), 0, 8
    while at + 8 <= len(png) and found < max_bytes:
        size, kind = struct.unpack_from(">I4s", png, at)
        packed = png[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        while packed and found < max_bytes:
            found += len(inflate.decompress(packed, INFLATED_AT_ONCE))
            packed = inflate.unconsumed_tail
        at += 12 + size
    return found


def image_index(document: GltfDocument, slot: TextureSlot) -> int:
    """Which image a texture reference shows."""
    texture = document.entry("textures", slot.index)
    webp = texture.extensions.webp
    index = texture.source if webp is None or webp.source is None else webp.source
    if index is None:
        raise CharacterError(f"{document.path.name}: texture {slot.index} has no picture; give it as PNG or JPEG")
    return index


def open_image(document: GltfDocument, index: int) -> ImageFile:
    """A picture of the document, its kind and size checked, not decoded yet."""
    image: ImageEntry = document.entry("images", index)
    if image.buffer_view is not None:
        data = bytes(document.buffer_view(image.buffer_view))
    elif image.uri is not None:
        data = document.resource(image.uri)
    else:
        raise CharacterError(f"{document.path.name}: picture {index} has no data; export it again with its textures")
    name = quoted(image.name or f"picture {index}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Our own limit follows.
            picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
        if picture.width * picture.height <= MAX_TEXTURE_PIXELS:
            return picture
        size = f"{picture.width}×{picture.height}"
    except Image.DecompressionBombError:
        size = "far too many"
    except (OSError, SyntaxError, ValueError) as error:
        raise CharacterError(f"{document.path.name}: {name} is no readable PNG, JPEG or WebP ({error})") from error
    raise CharacterError(f"{document.path.name}: {name} has {size} pixels; up to 8192×8192 are read: scale it down")


def read_texture(
    document: GltfDocument, slot: TextureSlot, textures: dict[int, np.ndarray]
) -> UInt8[np.ndarray, "height width 4"]:
    """The picture behind a texture reference, as sRGB bytes with straight alpha."""
    index = image_index(document, slot)
    if index not in textures:
        textures[index] = np.asarray(open_image(document, index).convert("RGBA"))
    return textures[index]


def mean_levels(
    document: GltfDocument, slot: TextureSlot, means: dict[int, np.ndarray]
) -> Float[np.ndarray, "4 level"]:
    """Which share of a texture's red, green, blue and alpha has each of the 256 levels."""
    index = image_index(document, slot)
    if index not in means:
        counts = np.array(open_image(document, index).convert("RGBA").histogram(), np.float64).reshape(4, 256)
        means[index] = counts / counts.sum(1, keepdims=True)
    return means[index]


def transform_uv(uv: Float[np.ndarray, "vertex 2"], slot: TextureSlot) -> Float[np.ndarray, "vertex 2"]:
    """Texture coordinates with KHR_texture_transform applied."""
    change = slot.extensions.transform
    if change is None:
        return uv
    c, s = np.cos(change.rotation), np.sin(change.rotation)
    return (uv * change.scale) @ np.array([[c, s], [-s, c]]).T + change.offset
