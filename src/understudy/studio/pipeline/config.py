"""Everything that can be chosen when a shot is recast: the usual options, and those of each stage."""

from dataclasses import dataclass, field

from understudy.characters.picture.character import PictureConfig
from understudy.cinematography.camera_fit import CameraFitConfig, PointCameraFitter
from understudy.cinematography.dnerf.fitter import DNeRFFitter
from understudy.cinematography.fitters import CAMERA_FITTERS, CameraFitterConfig
from understudy.cinematography.plate_camera import PlateCamera
from understudy.decompose.body.fit import BodyFitConfig
from understudy.decompose.camera.solve import CameraConfig
from understudy.decompose.cuts import CutConfig
from understudy.decompose.matte.refine import MatteConfig
from understudy.decompose.people.find import PeopleConfig
from understudy.decompose.plate.clean_plate import PlateConfig
from understudy.refine.look_matching import RefineConfig
from understudy.render.backends.opengl import OpenGL
from understudy.render.backends.reference import Reference
from understudy.render.renderers import RENDERERS, RendererConfig
from understudy.retarget.retarget import RetargetConfig
from understudy.runtime.checks import check_options
from understudy.studio.options import RecastOptions

__all__ = ["LightConfig", "RecastConfig", "chosen_camera_fitter", "chosen_renderer"]


@dataclass(frozen=True)
class LightConfig:
    """How the light is looked for."""

    samples: int = 8
    """Frames that are looked at, spread over the shot."""
    shadow_samples: int = 4
    """Those of them in which the fitted body's shadow is compared with the shot's."""
    shadow_px: int = 480
    """Width of the pictures of that comparison."""

    def __post_init__(self) -> None:
        check_options(self, samples=(1, 1000), shadow_samples=(1, 1000), shadow_px=(16, 8192))


@dataclass(frozen=True)
class RecastConfig(RecastOptions):
    """How a shot is recast; the defaults serve most shots. What `RecastOptions` has not are the stages' own options."""

    picture: PictureConfig = field(default_factory=PictureConfig)
    """Of the stage character, for a picture."""
    cuts: CutConfig = field(default_factory=CutConfig)
    """Of the stage cuts."""
    people: PeopleConfig = field(default_factory=PeopleConfig)
    """Of the stage people."""
    camera: CameraConfig = field(default_factory=CameraConfig)
    """Of the stage camera."""
    plate: PlateConfig = field(default_factory=PlateConfig)
    """Of the stage plate."""
    mask: MatteConfig = field(default_factory=MatteConfig)
    """Of the stage mask: the actor's matte."""
    body: BodyFitConfig = field(default_factory=BodyFitConfig)
    """Of the stage body."""
    retarget: RetargetConfig = field(default_factory=RetargetConfig)
    """Of the stage retarget."""
    points: CameraFitConfig = field(default_factory=CameraFitConfig)
    """Of the stage camera fit, with --camera-fitter points."""
    dnerf: DNeRFFitter = field(default_factory=DNeRFFitter)
    """Of the stage camera fit, with --camera-fitter dnerf."""
    light: LightConfig = field(default_factory=LightConfig)
    """Of the stage light."""
    opengl: OpenGL = field(default_factory=OpenGL)
    """Of the stage render, with --renderer opengl."""
    reference: Reference = field(default_factory=Reference)
    """Of the stage render, with --renderer reference."""
    look: RefineConfig = field(default_factory=RefineConfig)
    """Of the stage film: how the characters are matched to the shot."""


def chosen_renderer(config: RecastConfig) -> RendererConfig:
    """The renderer that the user named, as the user set it."""
    kind = RENDERERS[config.renderer]
    return next(one for one in (config.opengl, config.reference) if isinstance(one, kind))


def chosen_camera_fitter(config: RecastConfig) -> CameraFitterConfig:
    """The camera fitter that the user named, as the user set it."""
    kind = CAMERA_FITTERS[config.camera_fitter]
    return next(one for one in (PlateCamera(), PointCameraFitter(config.points), config.dnerf) if isinstance(one, kind))
