"""Ray-cast scenes filmed by the OpenGL renderer: round bodies, soft shadows of everything that the sun meets.

It films what a `SceneDescription` says, as `EndlessClips.film` does; only the light differs: cast shadows come from a
shadow map, the sun does not come through windows, and there is no contact shadow.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float, UInt8

from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.film import Performance, Take
from understudy.core.motion import Motion
from understudy.core.passes import Passes
from understudy.geometry.panorama import cube_rotations, panorama_from_cube
from understudy.geometry.projection import intrinsics
from understudy.imaging.colour import srgb_bytes_from_linear
from understudy.render.backends.opengl import OpenGL
from understudy.render.protocol import Renderer
from understudy.synthetic.films.shots import PERSON, SHADOW_MAP_PX, ShotFrame
from understudy.synthetic.worlds.endless import SceneDescription
from understudy.synthetic.worlds.meshes import capsule_mesh, sky_light, world_light, world_mesh
from understudy.synthetic.worlds.subject import subject_capsules

__all__ = ["film_with_opengl", "panorama_with_opengl"]


def film_with_opengl(
    scene: SceneDescription, clip: int, camera: CameraPath, share: Float[np.ndarray, " time"]
) -> Iterator[ShotFrame]:
    """Frames of a scene's clip number `clip` in the world, at shares 0 … 1 of the clip's time.

    Raises:
        BackendUnavailable: this machine has no OpenGL, not even in software.
    """
    times = torch.as_tensor(share, dtype=torch.float32).expand(len(scene), -1)
    capsules = subject_capsules(scene.subject, scene.T_world_start, times.to(scene.T_world_start.device))
    light, scenery = world_light(scene.world, clip), _still(world_mesh(scene.world, clip))
    with ExitStack() as stack:
        # One renderer each, so that the set stays on the device.
        with_person, without = (
            stack.enter_context(OpenGL(shadow_map_px=SHADOW_MAP_PX, ground_shadow=False).build()) for _ in range(2)
        )
        for frame in range(len(camera)):
            now = _one(camera, frame)
            plate = without(Take((scenery,), now, light), 0)
            sky = _sky(scene, clip, now, plate)
            empty = _developed(plate, sky)
            subject = capsule_mesh(capsules, clip, frame)
            if subject is None:
                yield ShotFrame(empty, empty, np.zeros(empty.shape[:2], np.uint8), plate.depth_m)
                continue
            person = _still(subject)
            whole = with_person(Take((scenery, person), now, light), 0)
            mask = (whole.matte(PERSON) * 255 + 0.5).astype(np.uint8)
            yield ShotFrame(_developed(whole, sky), empty, mask, plate.depth_m)


def panorama_with_opengl(scene: SceneDescription, clip: int, columns: int) -> UInt8[np.ndarray, "rows columns 3"]:
    """All around the start view's place, the start view's direction in the middle.

    Raises:
        BackendUnavailable: this machine has no OpenGL, not even in software.
    """
    size = columns // 2
    T = np.tile(scene.T_world_start[clip].cpu().double().numpy(), (6, 1, 1))
    T[:, :3, :3] = T[:, :3, :3] @ cube_rotations()
    camera = CameraPath(T, np.repeat(intrinsics(size / 2, size, size)[None], 6, 0), size, size, Fraction(1))
    light, scenery = world_light(scene.world, clip), _still(world_mesh(scene.world, clip))
    with OpenGL(shadow_map_px=SHADOW_MAP_PX, ground_shadow=False).build() as renderer:
        faces = [_face(renderer, scene, clip, Take((scenery,), _one(camera, face), light)) for face in range(6)]
    return panorama_from_cube(np.stack(faces), columns)


def _face(renderer: Renderer, scene: SceneDescription, clip: int, take: Take) -> UInt8[np.ndarray, "size size 3"]:
    plate = renderer(take, 0)
    return _developed(plate, _sky(scene, clip, take.camera, plate))


def _still(character: Character) -> Performance:
    """One frame of something that stands where its mesh is."""
    motion = Motion(character.skeleton, np.array([[[1.0, 0.0, 0.0, 0.0]]]), np.zeros((1, 3)), Fraction(1))
    return Performance(character, motion)


def _one(camera: CameraPath, frame: int) -> CameraPath:
    some = slice(frame, frame + 1)
    return CameraPath(camera.T_world_camera[some], camera.K[some], camera.width, camera.height, camera.frame_rate)


def _sky(scene: SceneDescription, clip: int, camera: CameraPath, plate: Passes) -> Float[np.ndarray, "height width 3"]:
    """What lies behind everything, where anything of it shows."""
    if plate.alpha.min() >= 1.0:
        return np.zeros_like(plate.colour)
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    pixels = np.stack([columns, rows, np.ones_like(rows)], -1)
    return sky_light(scene.world, clip, pixels @ np.linalg.inv(camera.K[0]).T @ camera.T_world_camera[0, :3, :3].T)


def _developed(plate: Passes, sky: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    return srgb_bytes_from_linear(plate.colour + (1 - plate.alpha)[..., None] * sky)
