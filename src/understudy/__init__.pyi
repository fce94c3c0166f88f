# ruff: noqa: I001
# The public interface: what `import understudy` offers, what docs/api.md describes, what other programs may rely on.
# Each name is loaded from its module when it is first asked for. Comments with ## are the headings of that page.

__version__: str

## Jobs: each is one call
from .studio.recast import recast as recast, Film as Film
from .studio.pipeline.config import RecastConfig as RecastConfig, LightConfig as LightConfig
from .studio.options import RecastOptions as RecastOptions
from .studio.character.cast import cast as cast, Cast as Cast
from .studio.character.animate import animate as animate
from .studio.character.config import CastConfig as CastConfig, AnimateConfig as AnimateConfig
from .studio.scene.shoot import shoot_clip as shoot_clip, Shooting as Shooting
from .studio.scene.config import ShootConfig as ShootConfig
from .evaluation.transfer import evaluate_transfer as evaluate_transfer
from .evaluation.transfer_shots import TransferConfig as TransferConfig

## Nouns: the camera and the footage
from .core.camera import (
    CameraPath as CameraPath,
    UnscaledCameraPath as UnscaledCameraPath,
    PinholePath as PinholePath,
    CameraMoveKind as CameraMoveKind,
)
from .core.camera_moves import (
    CameraMoveName as CameraMoveName,
    MOVE_UNITS as MOVE_UNITS,
    MoveUnit as MoveUnit,
    SCENE_MOVES as SCENE_MOVES,
)
from .core.footage import (
    Shot as Shot,
    LandmarkTrack as LandmarkTrack,
    LANDMARKS as LANDMARKS,
    CameraSolution as CameraSolution,
    SetPoints as SetPoints,
    Sightings as Sightings,
    ColourSpace as ColourSpace,
)

## Nouns: the character and its motion
from .core.motion import (
    Skeleton as Skeleton,
    Motion as Motion,
    BODY_JOINTS as BODY_JOINTS,
    BODY_PARENTS as BODY_PARENTS,
)
from .core.character import Character as Character, Mesh as Mesh, Morph as Morph
from .core.character import Material as Material, Doubt as Doubt
from .core.springs import SpringChain as SpringChain, SpringBone as SpringBone, Collider as Collider
from .body.model import BodyModel as BodyModel, ShapedBody as ShapedBody

## Nouns: what is rendered
from .core.environment import Light as Light
from .core.film import Performance as Performance, Take as Take
from .core.passes import (
    Passes as Passes,
    Layer as Layer,
    covered_box as covered_box,
    PassKind as PassKind,
)
from .core.clip import SceneClip as SceneClip

## Stages: a shot is taken apart
from .decompose.cuts import find_cuts as find_cuts, CutConfig as CutConfig
from .decompose.people.find import find_people as find_people, PeopleConfig as PeopleConfig, People as People
from .decompose.camera.solve import solve_camera as solve_camera, CameraConfig as CameraConfig
from .decompose.plate.clean_plate import (
    make_clean_plate as make_clean_plate,
    PlateConfig as PlateConfig,
    PlateReport as PlateReport,
)
from .decompose.matte.refine import refine_matte as refine_matte, MatteConfig as MatteConfig
from .decompose.matte.presence import find_presence as find_presence
from .decompose.body.fit import fit_actor as fit_actor, BodyFitConfig as BodyFitConfig, ActorFit as ActorFit

## Stages: the character is made and moved
from .characters.picture.character import (
    character_from_picture as character_from_picture,
    PictureConfig as PictureConfig,
)
from .characters.protocol import LandmarkDetector as LandmarkDetector
from .studio.pipeline.stages.figure_detectors import FigureLandmarks as FigureLandmarks
from .characters.rig.character import character_from_rig as character_from_rig
from .retarget.retarget import retarget_motion as retarget_motion, RetargetConfig as RetargetConfig
from .studio.mocap import captured_motion as captured_motion
from .cinematography.camera_fit import fit_camera as fit_camera, CameraFitConfig as CameraFitConfig
from .cinematography.protocol import CameraFit as CameraFit, Framing as Framing

## Stages: the film is rendered and finished
from .refine.light import estimate_light as estimate_light, LightSample as LightSample, LightEstimate as LightEstimate
from .render.renderers import RENDERERS as RENDERERS
from .render.backends.opengl import OpenGL as OpenGL
from .render.backends.reference import Reference as Reference
from .render.protocol import Renderer as Renderer
from .refine.look_matching import measure_look as measure_look, LookSample as LookSample, RefineConfig as RefineConfig
from .refine.compose import Look as Look
from .refine.refine import clean_pictures as clean_pictures, refine_frames as refine_frames

## Readers and writers: films and pictures
from .io.video.streams import (
    open_shot as open_shot,
    read_frames as read_frames,
    read_video as read_video,
    write_film as write_film,
    VideoWriter as VideoWriter,
)
from .io.video.film import Sound as Sound
from .io.video.encoding import VideoKind as VideoKind
from .io.video.film_sequence import write_sequence as write_sequence
from .io.pictures.files import read_picture as read_picture, write_png as write_png
from .io.exr.read import read_exr as read_exr
from .io.exr.write import write_exr as write_exr
from .io.passes import PassWriter as PassWriter, read_passes as read_passes
from .io.scene_dataset import (
    finished_scenes as finished_scenes,
    read_scene_clip as read_scene_clip,
    write_scene_clip as write_scene_clip,
)

## Readers and writers: cameras
from .io.cameras.files import (
    read_camera_json as read_camera_json,
    write_camera_json as write_camera_json,
    write_camera_usda as write_camera_usda,
)
from .io.cameras.reconstructions import (
    write_colmap_text as write_colmap_text,
    write_nerfstudio as write_nerfstudio,
    write_points_ply as write_points_ply,
)
from .io.cameras.sets import (
    read_unreal_cameras as read_unreal_cameras,
    write_unreal_cameras as write_unreal_cameras,
    read_realestate10k as read_realestate10k,
    write_realestate10k as write_realestate10k,
)

## Readers and writers: motions, characters, scenes
from .io.motions.bvh import read_bvh as read_bvh, write_bvh as write_bvh
from .io.motions.arrays import (
    read_motion_npz as read_motion_npz,
    write_motion_npz as write_motion_npz,
    read_landmarks_npz as read_landmarks_npz,
    write_landmarks_npz as write_landmarks_npz,
)
from .io.gltf.write import write_character as write_character, write_scene as write_scene
from .io.gltf.read import read_gltf_motion as read_gltf_motion, read_gltf_clip_names as read_gltf_clip_names

## Readers and writers: a film's own files
from .studio.film_files import (
    load_light as load_light,
    save_light as save_light,
    load_presence as load_presence,
    save_presence as save_presence,
    Presence as Presence,
    load_cuts as load_cuts,
    save_cuts as save_cuts,
    CutList as CutList,
    load_solution as load_solution,
    save_solution as save_solution,
    load_fit as load_fit,
    save_fit as save_fit,
    BodyFit as BodyFit,
)

## Errors and progress
from .runtime.errors import (
    UnderstudyError as UnderstudyError,
    InputError as InputError,
    FootageError as FootageError,
    NobodyInShot as NobodyInShot,
    PictureError as PictureError,
    CharacterError as CharacterError,
    FileFormatError as FileFormatError,
    BackendUnavailable as BackendUnavailable,
)
from .runtime.progress import Progress as Progress
from .studio.narration import Narrator as Narrator, SilentNarrator as SilentNarrator
