"""Characters seen from all sides without light: outlines, colours and surfaces, in parallel projection.

It draws by itself, so that what is measured does not change with the film's renderer.
"""

from dataclasses import dataclass
from types import TracebackType

import moderngl
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from understudy.core.character import Character
from understudy.render.backends.opengl_context import open_context

__all__ = ["View", "Views"]

_VERTEX = """#version 330
uniform float azimuth; uniform vec2 half_size; uniform float middle; uniform float reach;
in vec3 in_position; in vec2 in_uv; out vec2 uv;
void main() {
    float u = in_position.x * cos(azimuth) - in_position.z * sin(azimuth);
    float w = in_position.x * sin(azimuth) + in_position.z * cos(azimuth);
    gl_Position = vec4(u / half_size.x, (in_position.y - middle) / half_size.y, -w / reach, 1.0);
    uv = in_uv;
}"""
_FRAGMENT = """#version 330
uniform sampler2D base_texture; uniform bool textured; uniform vec4 base_colour; uniform float alpha_cutoff;
uniform float label; in vec2 uv;
layout(location = 0) out vec4 out_colour; layout(location = 1) out float out_label;
void main() {
    vec4 base = base_colour;
    if (textured) base *= texture(base_texture, uv);
    if (base.a < alpha_cutoff) discard;
    vec3 light = clamp(base.rgb, 0.0, 1.0);
    vec3 coded = mix(1.055 * pow(light, vec3(1.0 / 2.4)) - 0.055, 12.92 * light, lessThanEqual(light, vec3(0.0031308)));
    out_colour = vec4(coded, 1.0);
    out_label = (label + 1.0) / 255.0;
}"""
_SRGB8_ALPHA8 = 0x8C43


@dataclass(frozen=True)
class View:
    """One parallel view."""

    rgb: UInt8[np.ndarray, "height width 3"]
    """sRGB albedo."""
    label: Int[np.ndarray, "height width"]
    """Which of the mesh's materials is in front; −1: nothing."""

    @property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The silhouette."""
        return self.label >= 0


class Views:
    """Draws characters from any azimuth: 0 in front of them, 90° on their left side.

    The picture shows `half_width_m` to each side of x = z = 0, and heights from `bottom_m` to `top_m`, at
    `pixels_per_m`. Use it in a `with` statement.
    """

    def __init__(self, half_width_m: float, bottom_m: float, top_m: float, pixels_per_m: float) -> None:
        self.pixels_per_m, self.top_m, self.half_width_m = pixels_per_m, top_m, half_width_m
        self._bounds = half_width_m, bottom_m, top_m
        self.width, self.height = (round(pixels_per_m * size) for size in (2 * half_width_m, top_m - bottom_m))
        self._context = open_context()
        self._program = self._context.program(_VERTEX, _FRAGMENT)
        size = (self.width, self.height)
        self._colour, self._label = self._context.texture(size, 4), self._context.texture(size, 1)
        depth = self._context.depth_renderbuffer(size)
        self._target = self._context.framebuffer([self._colour, self._label], depth)

    def __enter__(self) -> "Views":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.release()

    def __call__(self, character: Character, azimuths_rad: Float[np.ndarray, " view"]) -> list[View]:
        """The rest pose from each azimuth."""
        context, program, mesh = self._context, self._program, character.mesh
        half_width, bottom, top = self._bounds
        program["half_size"], program["middle"] = (half_width, 0.5 * (top - bottom)), 0.5 * (top + bottom)
        program["reach"] = 2.0 * float(np.linalg.norm(mesh.vertices[:, [0, 2]], axis=1).max())
        both = np.concatenate([mesh.vertices, mesh.uv], 1).astype(np.float32)
        vertices = context.buffer(both.tobytes())
        arrays, textures = [], {}
        for index, material in enumerate(mesh.materials):
            faces = mesh.faces[mesh.face_material == index]
            if not len(faces):
                continue
            content = [(vertices, "3f 2f", "in_position", "in_uv")]
            order = context.buffer(faces.astype(np.int32).tobytes())
            arrays.append((index, context.vertex_array(program, content, index_buffer=order, skip_errors=True)))
            if material.texture is not None:
                size = material.texture.shape[1], material.texture.shape[0]
                data = np.ascontiguousarray(material.texture).tobytes()
                textures[index] = context.texture(size, 4, data, internal_format=_SRGB8_ALPHA8)
                textures[index].build_mipmaps()
                textures[index].filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        views = [self._draw(character, float(azimuth), arrays, textures) for azimuth in azimuths_rad]
        for texture in textures.values():
            texture.release()
        return views

    def _draw(
        self,
        character: Character,
        azimuth_rad: float,
        arrays: list[tuple[int, moderngl.VertexArray]],
        textures: dict[int, moderngl.Texture],
    ) -> View:
        context, program = self._context, self._program
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        context.enable(moderngl.DEPTH_TEST)
        program["azimuth"] = azimuth_rad
        for index, array in arrays:
            material = character.mesh.materials[index]
            (context.disable if material.double_sided else context.enable)(moderngl.CULL_FACE)
            if index in textures:
                textures[index].use(0)
            program["textured"], program["base_colour"] = index in textures, material.base_colour
            program["alpha_cutoff"] = -1.0 if material.alpha_cutoff is None else material.alpha_cutoff
            program["label"] = float(index)
            array.render()
        colour = np.frombuffer(self._target.read(components=4), np.uint8).reshape(self.height, self.width, 4)
        label = np.frombuffer(self._target.read(components=1, attachment=1, alignment=1), np.uint8)
        label = label.reshape(self.height, self.width).astype(np.int64) - 1
        return View(np.ascontiguousarray(colour[::-1, :, :3]), np.ascontiguousarray(label[::-1]))
