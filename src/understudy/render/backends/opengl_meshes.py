"""Characters on the device: buffers, textures and draw calls."""

from collections.abc import Sequence

import moderngl
import numpy as np
from jaxtyping import Float

from understudy.core.character import Character, Material
from understudy.core.film import Performance
from understudy.render.backends.opengl import OpenGL
from understudy.render.occlusion import unoccluded
from understudy.render.posing import PosedMesh, Poser, neighbours
from understudy.render.reflectance import dielectric_reflectance

__all__ = ["DeviceMesh", "surface_table"]

SRGB8_ALPHA8 = 0x8C43
"""OpenGL's name of the texture format that it decodes from sRGB to linear light when it filters."""
MOVING_BYTES, AROUND_BYTES = 4 * 7, 4 * 6
"""Of a vertex: position, normal and share of the fill; positions before and after."""


def surface_table(characters: Sequence[Character]) -> Float[np.ndarray, "3 surface 4"]:
    """What the light needs to know of each surface: emissive and id; metallic, roughness and reflection as a
    dielectric at grazing angles; the same from straight ahead.

    Surface 0 is nothing; the materials of the n-th character follow those of the one before, with id n.
    """
    rows = [np.zeros((3, 4), np.float32)]
    for number, character in enumerate(characters, start=1):
        for material in character.mesh.materials:
            head_on, grazing = dielectric_reflectance(material)
            finish = (material.metallic, material.roughness, grazing, 0.0)
            rows.append(np.array([(*material.emissive, number), finish, (*head_on, 0.0)], np.float32))
    return np.stack(rows, axis=1)


class DeviceMesh:
    """One character's mesh, ready to be drawn by several programs; `update` brings it into a pose."""

    def __init__(
        self, context: moderngl.Context, character: Character, programs: dict[str, moderngl.Program], config: OpenGL
    ) -> None:
        motion = config.motion
        self.character = character
        self.poser, self._unoccluded = Poser(character), unoccluded(character, config.self_occlusion)
        self.posed: PosedMesh | None = None
        mesh = character.mesh
        count = max(len(mesh.vertices), 1)  # buffers cannot be empty
        self._moving = context.buffer(reserve=count * MOVING_BYTES, dynamic=True)
        self._around = context.buffer(reserve=count * AROUND_BYTES if motion else 4, dynamic=True)
        self._uv = context.buffer(mesh.uv.astype(np.float32).tobytes() or bytes(8))
        self._textures = [_texture(context, material) for material in mesh.materials]
        self._owned: list[moderngl.Buffer | moderngl.VertexArray] = [self._moving, self._around, self._uv]
        self._arrays: dict[str, list[tuple[int, moderngl.VertexArray]]] = {name: [] for name in programs}
        for index in range(len(mesh.materials)):
            faces = mesh.faces[mesh.face_material == index]
            if not len(faces):
                continue
            indices = context.buffer(faces.astype(np.int32).tobytes())
            self._owned.append(indices)
            for name, program in programs.items():
                content = [
                    (self._moving, "3f 3f 1f", "in_position", "in_normal", "in_unoccluded"),
                    (self._uv, "2f", "in_uv"),
                ]
                if motion and name == "surface":
                    content.append((self._around, "3f 3f", "in_before", "in_after"))
                array = context.vertex_array(
                    program,
                    content,
                    index_buffer=indices,
                    skip_errors=True,  # a program need not use every attribute
                )
                self._arrays[name].append((index, array))
                self._owned.append(array)

    def update(self, performance: Performance, frame: int) -> PosedMesh:
        """Skin the mesh for a frame; sends it to the device only if it has moved."""
        posed = self.poser(performance, frame)
        if posed is not self.posed:
            columns = [posed.vertices, posed.normals, self._unoccluded(posed)[:, None]]
            self._moving.write(np.concatenate(columns, axis=1, dtype=np.float32, casting="same_kind").tobytes())
            self.posed = posed
        return posed

    def update_around(self, performance: Performance, frame: int) -> None:
        """Skin the mesh for the frames before and after one as well."""
        frames = neighbours(frame, len(performance.motion))
        both = [self.poser(performance, number).vertices for number in frames]
        self._around.write(np.concatenate(both, axis=1, dtype=np.float32, casting="same_kind").tobytes())

    def draw(
        self,
        context: moderngl.Context,
        name: str,
        program: moderngl.Program,
        first_surface: int = 0,
        shadows: bool = False,
    ) -> None:
        """Draw all surfaces with one of the programs; for `shadows`, both sides of them.

        `first_surface` is where this mesh's materials begin in the table of all surfaces (`surface_table`).
        """
        for index, array in self._arrays[name]:
            material = self.character.mesh.materials[index]
            if shadows or material.double_sided:
                context.disable(moderngl.CULL_FACE)
            else:
                context.enable(moderngl.CULL_FACE)
            texture = self._textures[index]
            if texture is not None:
                texture.use(location=0)
            _set(program, "textured", texture is not None)
            _set(program, "base_colour", material.base_colour)
            _set(program, "surface", float(first_surface + index))
            _set(program, "alpha_cutoff", -1.0 if material.alpha_cutoff is None else material.alpha_cutoff)
            array.render()

    def release(self) -> None:
        """Give the device's memory back."""
        for thing in reversed(self._owned):
            thing.release()
        for texture in self._textures:
            if texture is not None:
                texture.release()


def _texture(context: moderngl.Context, material: Material) -> moderngl.Texture | None:
    if material.texture is None:
        return None
    height, width = material.texture.shape[:2]
    data = np.ascontiguousarray(material.texture).tobytes()
    texture = context.texture((width, height), 4, data, internal_format=SRGB8_ALPHA8)
    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    return texture


def _set(program: moderngl.Program, name: str, value: object) -> None:
    """Set a uniform that some programs do not have."""
    if name in program:
        program[name] = value
