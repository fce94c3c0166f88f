"""Everything that can be chosen when a character is cast, and when one is animated."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from understudy.characters.picture.character import PictureConfig
from understudy.render.renderers import RENDERERS, RendererConfig, RendererName
from understudy.retarget.retarget import RetargetConfig
from understudy.runtime.checks import check_options

__all__ = ["AnimateConfig", "CastConfig", "renderer_named"]


@dataclass(frozen=True)
class CastConfig:
    """How a character is made, or a rig read; the defaults serve most of them."""

    height_m: float | None = None
    """How tall it stands, in metres (default: as a rig's file says, 1.7 for a picture)."""
    figure: int | None = None
    """For a rig: which of the file's figures is the character, counted from 1 (default: the largest)."""
    joints: Path | None = None
    """For a picture: its joints by hand, as JSON."""
    cutout: Path | None = None
    """For a picture: its cut-out by hand, as a grey picture."""
    back: Path | None = None
    """For a picture: another of the same figure in the same pose, from behind: it paints the back."""
    side: Path | None = None
    """For a picture: another from the side, which looks to the left or the right: it says how deep the body is, and
    paints the sides."""
    view: tuple[str, ...] = ()
    """For a picture: others of the same figure in the same pose from any sides, about level with it: they say how deep
    the body is, and paint what they show. From where each is seen is found, or told as NAME:DEGREES: 0 is from the
    front, 90 from the figure's left."""
    generator: str | None = None
    """For a picture: a generator of meshes that makes the body, by its name in the file of generators; without one,
    the body is made by us."""
    generators: Path | None = None
    """A TOML file that says how generators are run (default: generators.toml in your folder of configuration)."""
    strict: bool = False
    """Stop, with exit code 2, where the character is doubtful: joints that were guessed, legs that were made up."""
    renderer: RendererName = "opengl"
    """What renders: OpenGL, or plain NumPy, which is very slow and needs no graphics driver."""
    picture: PictureConfig = field(default_factory=PictureConfig)
    """How a picture becomes a character."""

    def __post_init__(self) -> None:
        check_options(self, height_m=(0.05, 20), figure=(1, 1000))


@dataclass(frozen=True)
class AnimateConfig:
    """How a character is moved and filmed."""

    camera: Literal["follow", "static", "turntable"] | None = None
    """It goes along with the character, stands and sees the whole motion, or goes along and once around (default:
    follow; without a motion, turntable)."""
    azimuth_deg: float = 25.0
    """From where the camera looks, at first: 0 is from the front of a character that has not turned yet, 90 from its
    left."""
    width: int = 720
    """Of the film, in pixels."""
    height: int = 720
    """Of the film, in pixels."""
    start: float = 0.0
    """Seconds into the motion at which the film starts."""
    seconds: float | None = None
    """How long the film is (default: as long as the motion, up to 60 s; 6 s of the walk)."""
    frame_rate: float = 24.0
    """Of the film, in frames a second."""
    clip: str | None = None
    """Of a glTF file with several animations: the name of the one that is wanted (default: the first)."""
    height_m: float | None = None
    """How tall the character stands, in metres (default: as its file says)."""
    renderer: RendererName = "opengl"
    """What renders: OpenGL, or plain NumPy, which is very slow and needs no graphics driver."""
    retarget: RetargetConfig = field(default_factory=RetargetConfig)
    """How the motion is put on the character."""

    def __post_init__(self) -> None:
        check_options(
            self, width=(16, 8192), height=(16, 8192), start=(0, 86_400), seconds=(0.1, 3600), frame_rate=(1, 240),
            azimuth_deg=(-360, 360), height_m=(0.05, 20),
        )  # fmt: skip


def renderer_named(name: RendererName) -> RendererConfig:
    """The renderer with its own defaults."""
    return RENDERERS[name]()
