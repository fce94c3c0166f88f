"""What every renderer must give, as plain NumPy: slow, short, without a device.

It leaves out what only looks: shadows of characters on themselves, soft edges of shadows, contact shadows, mipmaps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import map_coordinates

from understudy.core.character import Material
from understudy.core.environment import Light
from understudy.core.film import Take
from understudy.core.passes import Passes
from understudy.geometry.projection import project
from understudy.geometry.rigid import invert, transform
from understudy.geometry.vectors import unit
from understudy.imaging.colour import linear_from_srgb
from understudy.render.occlusion import unoccluded
from understudy.render.posing import PosedMesh, Poser, neighbours
from understudy.render.protocol import Renderer
from understudy.render.reflectance import dielectric_reflectance, split_sum_table
from understudy.runtime.checks import check_options

__all__ = ["Reference"]

NEAR_M = 0.05
SAME_SURFACE = 1.02
"""Samples of a pixel that are farther than this times the nearest belong to another surface."""


@dataclass(frozen=True)
class Reference:
    """Configuration of the reference renderer."""

    supersampling: int = 2
    """Samples per pixel along each axis."""
    self_occlusion: bool = True
    """Whether bodies keep the light from all sides from themselves: under arms and chin, between legs."""
    motion: bool = False
    """Whether to work out how far each point moves in the picture (`Passes.motion_px`)."""

    def __post_init__(self) -> None:
        check_options(self, supersampling=(1, 8))

    def build(self) -> Renderer:
        """A renderer that needs no device."""
        return ReferenceRenderer(self)


class ReferenceRenderer:
    """Renders takes triangle by triangle."""

    def __init__(self, config: Reference) -> None:
        self.config = config

    def __call__(self, take: Take, frame: int) -> Passes:
        """The passes of one frame (see `render.protocol.Renderer`)."""
        if not 0 <= frame < len(take):
            raise IndexError(f"the take has frames 0 … {len(take) - 1}; got {frame}")
        samples = _Samples(take, frame, self.config)
        for number, performance in enumerate(take.performances, start=1):
            poser = Poser(performance.character)
            posed = poser(performance, frame)
            shares = unoccluded(performance.character, self.config.self_occlusion)(posed)
            before, after = (poser(performance, number).vertices for number in neighbours(frame, len(take)))
            mesh = performance.character.mesh
            for index, material in enumerate(mesh.materials):
                faces = mesh.faces[mesh.face_material == index]
                samples.draw(posed, shares, (before, posed.vertices, after), mesh.uv, faces, material, number)
                samples.draw_shadow(posed, faces)
        return samples.resolve()

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> "ReferenceRenderer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Samples:
    """A picture finer than its pixels, under way."""

    def __init__(self, take: Take, frame: int, config: Reference) -> None:
        factor = config.supersampling
        self.factor, self.light = factor, take.light
        self.T_world_camera = take.camera.T_world_camera[frame]
        # Sample (i, j) lies at ((i + 0.5) / factor, (j + 0.5) / factor) in pixels.
        self.K = np.diag([factor, factor, 1.0]) @ take.camera.K[frame]
        self.width, self.height = take.camera.width * factor, take.camera.height * factor
        shape = (self.height, self.width)
        self.colour, self.normals = np.zeros((*shape, 3)), np.zeros((*shape, 3))
        self.depth_m, self.ids = np.full(shape, np.inf), np.zeros(shape, np.uint8)
        self.shadow = np.zeros(shape)
        self.motion = np.zeros((*shape, 4)) if config.motion else None
        before, after = neighbours(frame, len(take))
        self.cameras = [(invert(take.camera.T_world_camera[f]), take.camera.K[f]) for f in (before, frame, after)]

    def draw(
        self,
        posed: PosedMesh,
        shares: Float[np.ndarray, " vertex"],
        surfaces: Sequence[Float[np.ndarray, "vertex 3"]],
        uv: Float[np.ndarray, "vertex 2"],
        faces: Int[np.ndarray, "face 3"],
        material: Material,
        number: int,
    ) -> None:
        """Draw one material's triangles of performance `number`; `surfaces`: its vertices before, now and after.

        `shares` of the fill reach the vertices.
        """
        for face, rows, columns, z, barycentric, front in self._rasterise(posed.vertices, faces):
            if not front and not material.double_sided:
                continue
            corners = faces[face]
            base = _texels(material, barycentric @ uv[corners])
            nearer = z < self.depth_m[rows, columns]
            if material.alpha_cutoff is not None:
                nearer &= base[:, 3] >= material.alpha_cutoff
            normals = unit(barycentric @ posed.normals[corners]) * (1.0 if front else -1.0)
            to_camera = unit(self.T_world_camera[:3, 3] - barycentric @ posed.vertices[corners])
            share = (barycentric @ shares[corners])[:, None]
            colour = _shade(base[:, :3], normals, to_camera, material, self.light, share)
            at = (rows[nearer], columns[nearer])
            self.depth_m[at], self.normals[at], self.colour[at] = z[nearer], normals[nearer], colour[nearer]
            self.ids[at] = number
            if self.motion is not None:
                before, now, after = (
                    transform(T_camera_world, barycentric[nearer] @ vertices[corners])
                    for (T_camera_world, _), vertices in zip(self.cameras, surfaces, strict=True)
                )
                moved = [
                    np.where(there[:, 2:] > NEAR_M, project(K, there) - project(self.cameras[1][1], now), 0.0)
                    for there, (_, K) in ((after, self.cameras[2]), (before, self.cameras[0]))
                ]
                self.motion[at] = np.concatenate(moved, 1)

    def draw_shadow(self, posed: PosedMesh, faces: Int[np.ndarray, "face 3"]) -> None:
        """Let triangles fall along the key light onto the plane y = 0, and draw them there."""
        to_key = self.light.key_direction
        if to_key[1] <= 0:
            return
        height_m = posed.vertices[:, 1]
        fallen = posed.vertices - (height_m / to_key[1])[:, None] * to_key
        for face, rows, columns, _, barycentric, _ in self._rasterise(fallen, faces):
            above = barycentric @ height_m[faces[face]] > 0
            self.shadow[rows[above], columns[above]] = 1.0

    def _rasterise(
        self, vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"]
    ) -> Iterator[
        tuple[
            int,
            Int[np.ndarray, " n"],
            Int[np.ndarray, " n"],
            Float[np.ndarray, " n"],
            Float[np.ndarray, "n 3"],
            bool,
        ]
    ]:
        """Each face with the samples it covers: rows, columns, depths, barycentric weights, whether it is a front.

        A sample s on a face with corners P satisfies K P weights = z s; so weights = z (K P)⁻¹ s, and as they sum to
        one, z = 1 / sum((K P)⁻¹ s). No clipping is needed. Source: Olano and Greer 1997, Triangle scan conversion
        using 2D homogeneous coordinates.
        """
        image = transform(invert(self.T_world_camera), vertices) @ self.K.T
        for face, corners in enumerate(faces):
            M = image[corners].T
            determinant = np.linalg.det(M)
            if abs(determinant) < 1e-12 or M[2].max() <= NEAR_M:
                continue
            low, high = np.zeros(2), np.array([self.width, self.height], float)
            if M[2].min() > NEAR_M:
                low, high = np.clip((M[:2] / M[2]).min(1), low, high), np.clip((M[:2] / M[2]).max(1), low, high)
            (left, top), (right, bottom) = np.floor(low).astype(int), np.ceil(high).astype(int)
            rows, columns = (grid.ravel() for grid in np.mgrid[top:bottom, left:right])
            weights = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], 1) @ np.linalg.inv(M).T
            with np.errstate(divide="ignore"):
                z = 1.0 / weights.sum(1)
            ahead = np.isfinite(z) & (z > NEAR_M)
            rows, columns, z, weights = rows[ahead], columns[ahead], z[ahead], weights[ahead] * z[ahead][:, None]
            # Rounding must not lose the samples on an edge that two faces share.
            inside = (weights >= -1e-9).all(1)
            yield face, rows[inside], columns[inside], z[inside], weights[inside], bool(determinant < 0)

    def resolve(self) -> Passes:
        """Means over each pixel's samples; depth, normal and id of its nearest surface."""

        def blocks(samples: np.ndarray) -> np.ndarray:
            rows, columns = self.height // self.factor, self.width // self.factor
            split = samples.reshape(rows, self.factor, columns, self.factor, *samples.shape[2:])
            return np.moveaxis(split, 1, 2).reshape(rows, columns, self.factor**2, *samples.shape[2:])

        depth, ids, normals = blocks(self.depth_m), blocks(self.ids), blocks(self.normals)
        nearest = depth.min(2)
        front: Bool[np.ndarray, "height width sample"] = (depth <= SAME_SURFACE * nearest[..., None]) & (ids > 0)
        count = np.maximum(front.sum(2), 1)
        depth_m = np.where(nearest < np.inf, np.where(front, depth, 0.0).sum(2) / count, np.inf)
        nearest_ids = np.take_along_axis(ids, depth.argmin(2)[..., None], 2)

        def front_mean(samples: np.ndarray) -> np.ndarray:
            return (np.where(front[..., None], samples, 0.0).sum(2) / count[..., None]).astype(np.float32)

        return Passes(
            colour=blocks(self.colour).mean(2).astype(np.float32),
            alpha=(ids > 0).mean(2).astype(np.float32),
            depth_m=depth_m.astype(np.float32),
            normals=unit(np.where(front[..., None], normals, 0.0).sum(2)).astype(np.float32),
            ids=nearest_ids[..., 0],
            id_share=((ids == nearest_ids) & (ids > 0)).mean(2).astype(np.float32),
            shadow=blocks(self.shadow).mean(2).astype(np.float32),
            motion_px=None if self.motion is None else front_mean(blocks(self.motion)),
        )


def _texels(material: Material, uv: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 4"]:
    """Linear RGBA of the base colour: bilinear in linear light, the texture repeats."""
    base = np.tile(np.array(material.base_colour), (len(uv), 1))
    if material.texture is None:
        return base
    height, width = material.texture.shape[:2]
    at = uv * [width, height] - 0.5
    corner = np.floor(at).astype(int)
    share = at - corner
    texel = np.zeros((len(uv), 4))
    for right in (0, 1):
        for down in (0, 1):
            stored = material.texture[(corner[:, 1] + down) % height, (corner[:, 0] + right) % width] / 255.0
            encoded = stored[:, :3]
            linear = linear_from_srgb(encoded)
            weight = (share[:, 0] if right else 1 - share[:, 0]) * (share[:, 1] if down else 1 - share[:, 1])
            texel += weight[:, None] * np.concatenate([linear, stored[:, 3:]], 1)
    return base * texel


def _shade(
    base: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    to_camera: Float[np.ndarray, "n 3"],
    material: Material,
    light: Light,
    share: Float[np.ndarray, "n 1"],
) -> Float[np.ndarray, "n 3"]:
    """Lambert and GGX (Walter et al. 2007; Karis 2013) under the key, and the fill's diffuse and mirrored parts.

    A surface is a mixture of dielectric and metal; what the dielectric mirrors is lost to its diffuse part (glTF,
    appendix B). What leaves the microfacets only after several bounces is added. Source: Turquin 2019, Practical
    multiple scattering compensation for microfacet models.

    `share` of the fill is not kept off by the body itself. What it keeps off is made up for by what it throws back, as
    bright as it is here. A lobe is hidden the more sharply the narrower it is: Lagarde and de Rousiers 2014, Moving
    Frostbite to PBR, section 4.10.2.
    """

    def fill(directions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        up = 0.5 + 0.5 * directions[:, 1:2]
        return (1 - up) * light.fill_ground + up * light.fill_sky

    to_key = light.key_direction / np.linalg.norm(light.key_direction)
    half = unit(to_camera + to_key)
    n_l = np.maximum(normals @ to_key, 0.0)[:, None]
    n_v = np.maximum((normals * to_camera).sum(1, keepdims=True), 1e-3)
    n_h = np.maximum((normals * half).sum(1, keepdims=True), 0.0)
    v_h = np.maximum((to_camera * half).sum(1, keepdims=True), 0.0)

    metallic, roughness = material.metallic, material.roughness
    f0, f90 = dielectric_reflectance(material)
    scale, bias = _split_sum(roughness, n_v)
    lacking = 1.0 / (scale + bias) - 1.0
    bounces, metal_bounces = 1.0 + f0 * lacking, 1.0 + base * lacking

    def reflected(scale: np.ndarray, bias: np.ndarray) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
        """The diffuse part and the mirrored part."""
        mirrored = (f0 * scale + f90 * bias) * bounces
        metal = (base * scale + bias) * metal_bounces
        diffuse = base * (1.0 - metallic) * (1.0 - mirrored.max(1, keepdims=True))
        return diffuse, mirrored * (1.0 - metallic) + metal * metallic

    alpha = np.clip(roughness**2 + 0.5 * light.key_angle_rad, 0.02, 1.0)
    k = 0.5 * alpha
    lobe = alpha**2 / (n_h**2 * (alpha**2 - 1.0) + 1.0) ** 2
    visibility = 0.25 / ((n_l * (1 - k) + k) * (n_v * (1 - k) + k))
    grazing = np.clip(1.0 - v_h, 0.0, 1.0) ** 5
    diffuse, mirror = reflected(1.0 - grazing, grazing)
    key = (diffuse + mirror * lobe * visibility) * light.key_colour * n_l

    mirrored = 2.0 * (normals * to_camera).sum(1, keepdims=True) * normals - to_camera
    mirrored = unit((1.0 - roughness**2) * mirrored + roughness**2 * normals)
    diffuse, mirror = reflected(scale, bias)
    ambient = share / np.maximum(1.0 - base * (1.0 - metallic) * (1.0 - share), 1e-3)
    lobe_share = np.clip((n_v + share) ** np.exp2(-16.0 * roughness**2 - 1.0) - 1.0 + share, 0.0, 1.0)
    around = diffuse * ambient * fill(normals) + mirror * lobe_share * fill(mirrored)
    return np.array(material.emissive) + key + around


def _split_sum(
    roughness: float, n_v: Float[np.ndarray, "n 1"]
) -> tuple[Float[np.ndarray, "n 1"], Float[np.ndarray, "n 1"]]:
    """Both terms of the split sum (see `render.reflectance`), between the table's places as a device interpolates."""
    scale, bias = np.moveaxis(split_sum_table(), -1, 0)
    places = np.broadcast_arrays(len(scale) * roughness - 0.5, len(scale) * n_v - 0.5)
    terms = [map_coordinates(term, places, order=1, mode="nearest") for term in (scale, bias)]
    return terms[0], terms[1]
