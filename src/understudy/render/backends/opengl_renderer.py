"""The OpenGL renderer's passes: the key light's view, the characters, the ground's shadow."""

from functools import cached_property
from types import TracebackType

import cv2
import moderngl
import numpy as np
from jaxtyping import Float

from understudy.core.environment import Light
from understudy.core.film import Take
from understudy.core.passes import Passes
from understudy.geometry.rigid import transform
from understudy.render.backends.opengl import OpenGL
from understudy.render.backends.opengl_context import load_shader
from understudy.render.backends.opengl_meshes import DeviceMesh, surface_table
from understudy.render.backends.opengl_targets import TileScreen, TileTargets, tiles_of
from understudy.render.posing import PosedMesh, neighbours
from understudy.render.reflectance import split_sum_table
from understudy.render.views import (
    LightView,
    PixelBounds,
    camera_clip_from_world,
    covered_runs,
    ground_outline,
    light_view,
    pixel_box,
)

__all__ = ["OpenGLRenderer"]

NEAR_M = 0.05
GROUND_TILE_PX = 512
"""The ground's shadow is drawn in tiles of this side, so that memory does not grow with the picture's size."""
CONTACT_MAP_PX = 256
OUTLINE_SIDES = 16
"""Of the part of the ground on which there may be a shadow."""
TEXTURE, SHADOW, BLOCKERS, CONTACT, BASES, GEOMETRIES, SURFACES, MOTIONS, SPLIT_SUMS = range(9)
"""Texture units."""
Drawn = tuple[bytes | PosedMesh | None, ...]
"""What a light's target shows: the view, then what was drawn."""


class OpenGLRenderer:
    """Renders takes on one OpenGL context, which it owns; to be called in the thread that built it."""

    def __init__(self, config: OpenGL, context: moderngl.Context) -> None:
        self.config = config
        self._context = context
        # Viewports start at the top row (see views.py), which mirrors the turn of the faces.
        context.front_face = "cw"
        program = self._program
        self._surface = program("mesh.vert", "surface.frag", *["MOTION"] * config.motion, base_texture=TEXTURE)
        self._light = program("mesh.vert", "light.frag", base_texture=TEXTURE)
        self._contact = program("mesh.vert", "contact.frag")
        motion = ["MOTION"] * config.motion
        self._shade = program(
            "screen.vert",
            "shade.frag",
            *motion,
            bases=BASES,
            geometries=GEOMETRIES,
            surfaces=SURFACES,
            shadow_map=SHADOW,
            **({"motions": MOTIONS} if motion else {}),
        )
        self._shade["split_sums"] = SPLIT_SUMS
        table = split_sum_table()
        self._split_sums = context.texture(table.shape[1::-1], 2, table.astype(np.float32).tobytes(), dtype="f4")
        self._split_sums.repeat_x = self._split_sums.repeat_y = False
        self._catcher = program("ground.vert", "catcher.frag", blockers=BLOCKERS, contact=CONTACT)
        self._shade_screen = TileScreen(context, self._shade)
        self._outline = context.buffer(reserve=OUTLINE_SIDES * 12, dynamic=True)
        self._ground = context.vertex_array(self._catcher, [(self._outline, "3f", "in_position")])
        self._make_targets()
        self._meshes: list[DeviceMesh] = []
        self._light_drawn: Drawn = ()
        self._still_drawn: Drawn = ()
        self._surfaces = context.texture((1, 3), 4, dtype="f4")

    def _program(self, vertex: str, fragment: str, *defines: str, **units: int) -> moderngl.Program:
        program = self._context.program(load_shader(vertex, *defines), load_shader(fragment, *defines))
        for name, unit in units.items():
            program[name] = unit
        return program

    def _make_targets(self) -> None:
        context, side = self._context, self.config.shadow_map_px
        self._blockers = self._blockers_texture()
        self._blockers.repeat_x = self._blockers.repeat_y = False
        self._shadow_map = context.depth_texture((side, side))
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow_map.compare_func = "<="
        self._shadow_map.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._light_target = context.framebuffer([self._blockers], self._shadow_map)
        contact_size = (CONTACT_MAP_PX, CONTACT_MAP_PX)
        self._contact_map = context.texture(contact_size, 1, dtype="f2")
        self._contact_map.repeat_x = self._contact_map.repeat_y = False
        self._contact_target = context.framebuffer([self._contact_map], context.depth_renderbuffer(contact_size))
        self._targets = TileTargets(context, self.config.supersampling, self.config.motion)
        self._ground_target = context.framebuffer([context.texture((GROUND_TILE_PX, GROUND_TILE_PX), 1, dtype="f4")])

    def __call__(self, take: Take, frame: int) -> Passes:
        """The passes of one frame (see `render.protocol.Renderer`)."""
        if not 0 <= frame < len(take):
            raise IndexError(f"the take has frames 0 … {len(take) - 1}; got {frame}")
        with self._context:  # other renderers may be at work in this process
            return self._render(take, frame)

    def _render(self, take: Take, frame: int) -> Passes:
        meshes = self._load(take)
        posed = [mesh.update(p, frame) for mesh, p in zip(meshes, take.performances, strict=True)]
        if self.config.motion:
            self._set_motion(meshes, take, frame)
        K, width, height = take.camera.K[frame], take.camera.width, take.camera.height
        T_camera_world = np.linalg.inv(take.camera.T_world_camera[frame])
        passes = _empty_passes(width, height, self.config.motion)
        if not posed:
            return passes
        casting = np.concatenate([mesh.vertices for mesh in posed])
        view = None
        if len(casting):
            # Room for the shadows' soft edges: outside the view nothing is shaded.
            to_key = take.light.key_direction / np.linalg.norm(take.light.key_direction)
            travel_m = max(float(casting[:, 1].max()), 0.0) / max(float(to_key[1]), 0.25)
            margin_m = 1.5 * travel_m * float(np.tan(take.light.key_angle_rad))
            view = light_view(take.light.key_direction, casting, margin_m)
            self._draw_light(meshes, view, take.light)
        self._set_light(take, frame, view)

        seen = casting @ T_camera_world[:3, :3].T + T_camera_world[:3, 3]
        near, far = max(NEAR_M, 0.9 * float(seen[:, 2].min())), max(1.1 * float(seen[:, 2].max()), 2 * NEAR_M)
        for tile in tiles_of(pixel_box(K, seen, 0.0, width, height, NEAR_M), self.config.supersampling):
            clip_from_world = camera_clip_from_world(K, T_camera_world, tile, near, far)
            self._draw_characters(meshes, clip_from_world, tile, self._parts(meshes, K, seen, tile), passes)
        if view is not None and self.config.ground_shadow:
            self._draw_ground(meshes, take, frame, casting, view, passes)
        return passes

    def _load(self, take: Take) -> list[DeviceMesh]:
        """The take's characters on the device, in the order of its performances; others are dropped.

        A performance has its own mesh even if it shares its character with another, for both poses are needed at once.
        """
        spare, self._meshes = self._meshes, []
        programs = {"surface": self._surface, "light": self._light, "contact": self._contact}
        for performance in take.performances:
            known = next((i for i, mesh in enumerate(spare) if mesh.character is performance.character), None)
            if known is None:
                mesh = DeviceMesh(self._context, performance.character, programs, self.config)
            else:
                mesh = spare.pop(known)
            self._meshes.append(mesh)
        for mesh in spare:
            mesh.release()
        table = surface_table([mesh.character for mesh in self._meshes])
        self._surfaces.release()
        self._surfaces = self._context.texture(table.shape[1::-1], 4, table.tobytes(), dtype="f4")
        return self._meshes

    def _draw_light(self, meshes: list[DeviceMesh], view: LightView, light: Light) -> None:
        """Fill the shadow map and the blockers' pyramid, unless they already show just this."""
        drawn = (view.clip_from_world.tobytes(), *(mesh.posed for mesh in meshes))
        if _same(drawn, self._light_drawn):
            return
        before = self._light_drawn[1:] if self._light_drawn[:1] == drawn[:1] else ()
        still = [mesh for mesh in meshes if any(mesh.posed is posed for posed in before)]
        self._light_drawn = drawn
        self._context.enable(moderngl.DEPTH_TEST)
        _write(self._light, "clip_from_world", view.clip_from_world)
        self._light["to_key"] = tuple(light.key_direction / np.linalg.norm(light.key_direction))
        if still:
            # What stands still, such as a set, is kept: only what moves is drawn anew each frame.
            kept = (drawn[0], *(mesh.posed for mesh in still))
            if not _same(kept, self._still_drawn):
                self._fill(self._still_target, still)
                self._still_drawn = kept
            self._context.copy_framebuffer(self._light_target, self._still_target)
            self._light_target.use()
            for mesh in meshes:
                if mesh not in still:
                    mesh.draw(self._context, "light", self._light, shadows=True)
        else:
            self._fill(self._light_target, meshes)
        if self.config.ground_shadow:
            self._blockers.build_mipmaps()
            self._blockers.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)

    def _fill(self, target: moderngl.Framebuffer, meshes: list[DeviceMesh]) -> None:
        """Draw what the key light sees of some meshes, and nothing else."""
        target.use()
        target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        for mesh in meshes:
            mesh.draw(self._context, "light", self._light, shadows=True)

    @cached_property
    def _still_target(self) -> moderngl.Framebuffer:
        """Like `_light_target`, of what stands still; most takes have nothing that does."""
        depth = self._context.depth_texture(self._light_target.size)
        return self._context.framebuffer([self._blockers_texture()], depth)

    def _blockers_texture(self) -> moderngl.Texture:
        """What throws a shadow on the ground; without one, next to nothing: depth alone would not be copied."""
        side = self.config.shadow_map_px
        components, kind = (2, "f2") if self.config.ground_shadow else (1, "f1")
        return self._context.texture((side, side), components, dtype=kind)

    def _set_light(self, take: Take, frame: int, view: LightView | None) -> None:
        light, program = take.light, self._shade
        T_world_camera = take.camera.T_world_camera[frame]
        _write(program, "ray_from_pixel", T_world_camera[:3, :3] @ np.linalg.inv(take.camera.K[frame]))
        program["camera_position"] = tuple(T_world_camera[:3, 3])
        program["to_key"] = tuple(light.key_direction / np.linalg.norm(light.key_direction))
        program["key_colour"] = tuple(light.key_colour)
        program["fill_sky"] = tuple(light.fill_sky)
        program["fill_ground"] = tuple(light.fill_ground)
        program["key_radius"] = light.key_angle_rad
        program["factor"] = self.config.supersampling
        program["key_blocked"] = view is not None
        if view is None:
            return
        _write(program, "shadow_from_world", view.texture_from_world)
        texel_m = view.side_m / self.config.shadow_map_px
        # Blockers on the same body are a few decimetres away.
        blur_m = np.clip(0.25 * np.tan(light.key_angle_rad), texel_m, 6.0 * texel_m)
        program["shadow_offset_m"] = float(blur_m + 2.0 * texel_m)
        program["shadow_blur"] = float(blur_m / view.side_m)

    def _parts(
        self, meshes: list[DeviceMesh], K: Float[np.ndarray, "3 3"], seen: Float[np.ndarray, "n 3"], tile: PixelBounds
    ) -> list[PixelBounds]:
        """Where in a tile the meshes may be; all of it if they come too near."""
        if seen[:, 2].min() <= NEAR_M:
            return [PixelBounds(0, 0, tile.width, tile.height)]
        pixels = (seen @ K[:2].T).astype(np.float32) / seen[:, 2:].astype(np.float32)
        firsts = np.cumsum([0, *(len(mesh.character.mesh.vertices) for mesh in meshes)])
        faces = np.concatenate([mesh.character.mesh.faces + first for mesh, first in zip(meshes, firsts, strict=False)])
        return covered_runs(pixels, faces, tile)

    def _draw_characters(
        self,
        meshes: list[DeviceMesh],
        clip_from_world: Float[np.ndarray, "4 4"],
        tile: PixelBounds,
        parts: list[PixelBounds],
        passes: Passes,
    ) -> None:
        """Render one tile, of which only `parts` have anything in them, and write it into the passes."""
        context, targets, factor = self._context, self._targets, self.config.supersampling
        targets.reserve(tile)
        for target in (targets.coverage, targets.samples):
            target.viewport = (0, 0, tile.width * factor, tile.height * factor)
        targets.coverage.clear(0.0, 0.0, 0.0, 0.0, depth=1.0, viewport=targets.coverage.viewport)
        targets.samples.use()
        context.enable(moderngl.DEPTH_TEST)
        _write(self._surface, "clip_from_world", clip_from_world)
        first_surface = 1
        for mesh in meshes:
            mesh.draw(context, "surface", self._surface, first_surface)
            first_surface += len(mesh.character.mesh.materials)

        context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        targets.pixels.use()
        targets.pixels.viewport = (0, 0, tile.width, tile.height)
        targets.pixels.clear(viewport=targets.pixels.viewport)
        targets.bases.use(location=BASES)
        targets.geometries.use(location=GEOMETRIES)
        for motions in targets.motions:
            motions.use(location=MOTIONS)
        self._surfaces.use(location=SURFACES)
        self._split_sums.use(location=SPLIT_SUMS)
        self._shadow_map.use(location=SHADOW)
        self._shade["corner_px"] = (float(tile.left), float(tile.top))
        self._shade_screen.draw(tile, parts)

        part = np.s_[tile.top : tile.bottom, tile.left : tile.right]
        colour = _read(targets.pixels, tile, 0, 4, np.float32)
        surface = _read(targets.pixels, tile, 1, 4, np.float32)
        # OpenCV copies three channels of four six times as fast as NumPy.
        passes.colour[part], passes.normals[part] = (cv2.cvtColor(a, cv2.COLOR_RGBA2RGB) for a in (colour, surface))
        passes.alpha[part] = colour[..., 3]
        passes.depth_m[part] = np.where(surface[..., 3] > 0, surface[..., 3], np.inf)
        ids = _read(targets.pixels, tile, 2, 2, np.uint8)
        passes.ids[part], passes.id_share[part] = ids[..., 0], ids[..., 1] / np.float32(255)
        if passes.motion_px is not None:
            passes.motion_px[part] = _read(targets.pixels, tile, 3, 4, np.float32)

    def _set_motion(self, meshes: list[DeviceMesh], take: Take, frame: int) -> None:
        """Poses and cameras of the frames around this one; beyond the take's ends everything stands still."""
        for mesh, performance in zip(meshes, take.performances, strict=True):
            mesh.update_around(performance, frame)
        before, after = neighbours(frame, len(take))
        for name, number in (("before", before), ("now", frame), ("after", after)):
            pixel_from_world = np.linalg.inv(take.camera.T_world_camera[number])
            pixel_from_world[:3] = take.camera.K[number] @ pixel_from_world[:3]
            _write(self._surface, f"{name}_from_world", pixel_from_world)

    def _draw_ground(
        self,
        meshes: list[DeviceMesh],
        take: Take,
        frame: int,
        casting: Float[np.ndarray, "n 3"],
        view: LightView,
        passes: Passes,
    ) -> None:
        """Render the shadow on the plane y = 0."""
        config, light, program = self.config, take.light, self._catcher
        to_key = light.key_direction / np.linalg.norm(light.key_direction)
        tangent = float(np.tan(light.key_angle_rad))
        raised = casting[casting[:, 1] > 0]
        reach = config.contact_reach_m
        low = casting[casting[:, 1] < reach]
        # A key on the horizon throws no shadow that ends.
        shines = bool(to_key[1] > 0.02 and len(raised) and np.any(light.key_colour))
        travel_m = raised[:, 1] / to_key[1] if shines else np.zeros(0)
        fallen = raised[: len(travel_m)] - travel_m[:, None] * to_key
        if not shines and not len(low):
            return
        # The widest of all shadows' edges for each: blockers beside each other share theirs.
        softness_m = 2.0 * tangent * travel_m.max(initial=0.0) / max(to_key[1], 0.02)
        discs = [
            np.insert(points[:, [0, 2]], 2, radius, axis=1)
            for points, radius in ((fallen, softness_m), (low, 2.0 * reach))
        ]
        outline = ground_outline(np.concatenate(discs), OUTLINE_SIDES)
        self._draw_contact(meshes, low)

        camera, K = take.camera, take.camera.K[frame]
        T_world_camera = camera.T_world_camera[frame]
        T_camera_world = np.linalg.inv(T_world_camera)
        _write(program, "ray_from_pixel", T_world_camera[:3, :3] @ np.linalg.inv(K))
        program["camera_position"] = tuple(T_world_camera[:3, 3])
        _write(program, "shadow_from_world", view.texture_from_world)
        program["blocker_texel_m"] = view.side_m / config.shadow_map_px
        program["key_tangent"] = tangent
        program["widest_blocker_m"] = float(travel_m.max(initial=0.0))
        program["key_shines"] = shines
        program["contact_strength"] = config.contact_strength if len(low) else 0.0
        program["contact_reach_m"] = reach
        self._blockers.use(location=BLOCKERS)
        self._contact_map.use(location=CONTACT)
        self._context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self._ground_target.use()
        self._outline.write(outline.astype(np.float32).tobytes())
        seen = transform(T_camera_world, outline)
        far = 1.1 * max(float(seen[:, 2].max()), NEAR_M)
        for tile in pixel_box(K, seen, 0.0, camera.width, camera.height, NEAR_M).tiles(GROUND_TILE_PX):
            self._ground_target.viewport = (0, 0, tile.width, tile.height)
            self._ground_target.clear(viewport=self._ground_target.viewport)
            program["corner_px"] = (float(tile.left), float(tile.top))
            _write(program, "clip_from_world", camera_clip_from_world(K, T_camera_world, tile, NEAR_M, far))
            self._ground.render(moderngl.TRIANGLE_FAN)
            shadow = _read(self._ground_target, tile, 0, 1, np.float32)
            passes.shadow[tile.top : tile.bottom, tile.left : tile.right] = shadow[..., 0]

    def _draw_contact(self, meshes: list[DeviceMesh], low: Float[np.ndarray, "n 3"]) -> None:
        """The underside of everything near the ground, seen from below."""
        if not len(low):
            return
        reach = self.config.contact_reach_m
        corner = low[:, [0, 2]].min(0) - 3.0 * reach
        size = low[:, [0, 2]].max(0) + 3.0 * reach - corner
        clip = np.zeros((4, 4))
        clip[0, 0], clip[0, 3] = 2.0 / size[0], -2.0 * corner[0] / size[0] - 1.0
        clip[1, 2], clip[1, 3] = 2.0 / size[1], -2.0 * corner[1] / size[1] - 1.0
        clip[2, 1] = 1.0 / reach  # −reach … reach becomes −1 … 1; the rest is cut off
        clip[3, 3] = 1.0
        self._contact_target.use()
        self._context.enable(moderngl.DEPTH_TEST)
        self._contact_target.clear(0.0, depth=1.0)
        _write(self._contact, "clip_from_world", clip)
        self._contact["reach_m"] = reach
        for mesh in meshes:
            mesh.draw(self._context, "contact", self._contact, shadows=True)
        self._contact_map.build_mipmaps()
        self._contact_map.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        self._catcher["contact_box"] = (*corner, *size)
        self._catcher["contact_texel_m"] = float(size.max() / CONTACT_MAP_PX)

    def close(self) -> None:
        """Release the context and all that lies on it."""
        self._context.release()

    def __enter__(self) -> "OpenGLRenderer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _empty_passes(width: int, height: int, motion: bool) -> Passes:
    return Passes(
        colour=np.zeros((height, width, 3), np.float32),
        alpha=np.zeros((height, width), np.float32),
        depth_m=np.full((height, width), np.inf, np.float32),
        normals=np.zeros((height, width, 3), np.float32),
        ids=np.zeros((height, width), np.uint8),
        id_share=np.zeros((height, width), np.float32),
        shadow=np.zeros((height, width), np.float32),
        motion_px=np.zeros((height, width, 4), np.float32) if motion else None,
    )


def _same(a: Drawn, b: Drawn) -> bool:
    return len(a) == len(b) and a[:1] == b[:1] and all(x is y for x, y in zip(a[1:], b[1:], strict=True))


def _write(program: moderngl.Program, name: str, matrix: Float[np.ndarray, "rows columns"]) -> None:
    """Set a matrix uniform; OpenGL stores columns first."""
    uniform = program[name]
    assert isinstance(uniform, moderngl.Uniform)
    uniform.write(np.ascontiguousarray(matrix.T, np.float32).tobytes())


def _read(
    target: moderngl.Framebuffer,
    tile: PixelBounds,
    attachment: int,
    components: int,
    kind: type[np.float32] | type[np.uint8],
) -> np.ndarray:
    data = target.read(
        viewport=(0, 0, tile.width, tile.height),
        components=components,
        attachment=attachment,
        dtype="f4" if kind is np.float32 else "f1",
    )
    return np.frombuffer(data, kind).reshape(tile.height, tile.width, components)
