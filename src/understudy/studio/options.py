"""What most users choose when a shot is recast; `config.RecastConfig` holds every stage's own options besides.

Imports nothing heavy: `understudy recast --help` is made of this alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from understudy.core.passes import PassKind
from understudy.io.colour import ColourSpace
from understudy.retarget.foot_lock import FootLock
from understudy.runtime.errors import InputError, quoted

__all__ = ["MODEL_KINDS", "PICTURE_KINDS", "FilmCodec", "RecastOptions"]

PICTURE_KINDS = "PNG, JPEG, WebP"
MODEL_KINDS = "GLB, glTF, VRM, OBJ, PLY, STL; by Blender FBX, .blend, USD, DAE"
"""What a character may be made of, in words for people."""

FilmCodec = Literal["h264", "prores4444", "dnxhr", "exr"]

MAX_FRAME_NUMBER = 10_000_000
MAX_WORKERS = 256
"""More than the cores of any one machine that people make films on; each has a frame in memory."""


@dataclass(frozen=True)
class RecastOptions:
    """How a shot is recast; the defaults serve most shots."""

    start: float | None = None
    """Seconds into the file at which the shot starts."""
    end: float | None = None
    """Seconds into the file at which it ends."""
    frame_rate: float | None = None
    """Of an image sequence: its pictures a second (default: what they say, or 24)."""
    colour_space: ColourSpace | None = None
    """Of an image sequence: what its pictures store (default: what they say; without that, OpenEXR is linear, the
    others are sRGB)."""
    actor: int = 1
    """Who is replaced, when several people are in the shot: 1 is the main actor."""
    height_m: float | None = None
    """The actor's standing height in metres: sets the scale of the world (default: an adult of 1.70)."""
    character_height_m: float | None = None
    """The character's standing height in metres (default: a rig's own, or the actor's for a picture)."""
    figure: int | None = None
    """For a rig: which of the file's figures is the character, counted from 1 (default: the largest)."""
    quality: Literal["draft", "standard"] = "standard"
    """Draft renders without supersampling, takes landmarks from the smaller network, and is about twice as fast."""
    renderer: Literal["opengl", "reference"] = "opengl"
    """What renders: OpenGL, or plain NumPy, which is very slow and needs no graphics driver."""
    camera_fit: bool = True
    """Fit the camera to the new body, so that it fills the frame as the actor did."""
    camera_fitter: Literal["plate", "points", "dnerf"] = "plate"
    """How: plate keeps the plate's camera, so that feet stand on its ground; for sets in 3D, points on the bodies
    (seconds) or dnerf, a radiance field as in DreamCinema (hours)."""
    adapt: bool = True
    """Adapt the motion to the character's proportions and rest pose."""
    foot_lock: FootLock = "auto"
    """Which feet are kept on the ground: held in place where the actor's surely stand (auto), wherever they may stand
    (always), kept from sinking and hovering but not in place (ground), or left alone (never)."""
    refine: bool = True
    """Match light, tone, grain and shadow to the shot."""
    joints: Path | None = None
    """For a picture: its joints by hand, as JSON."""
    cutout: Path | None = None
    """For a picture: its cut-out by hand, as a grey picture."""
    strict: bool = False
    """Stop, with exit code 2, where the character is doubtful: joints that were guessed, legs that were made up."""
    passes: PassKind = "exr"
    """How the render passes are written: as lossless video, with multi-layer EXR or 8-bit PNG beside it."""
    first_frame: int = 1
    """The number of the first frame of each cut: in the names of image sequences, in USD and in EXR headers."""
    export_frames: bool = False
    """Write the clean plate's frames as PNG into camera/frames, as the COLMAP and nerfstudio files name them."""
    film_codec: FilmCodec = "h264"
    """How the film is written: film.mp4, film.mov for editing and grading (4:4:4, 10 bits), or film/ with pictures in
    scene-linear half floats and sound.mov."""
    workers: int | None = None
    """How many cores may be kept busy (default: all of up to four, all but one of more). The film does not depend on
    it."""

    def __post_init__(self) -> None:
        for name, least, most in (("height_m", 0.3, 3.0), ("character_height_m", 0.05, 20.0)):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                option = "--" + name.replace("_", "-")
                raise InputError(f"{option} is {value:g}; give metres between {least:g} and {most:g}")
        for name in ("quality", "renderer", "camera_fitter", "passes", "film_codec", "foot_lock"):
            choices = get_args(self.__dataclass_fields__[name].type)
            if getattr(self, name) not in choices:
                option = "--" + name.replace("_", "-")
                raise InputError(f"{option} is {quoted(getattr(self, name))}; give one of {', '.join(choices)}")
        if self.frame_rate is not None and not 1 <= self.frame_rate <= 1000:
            raise InputError(f"--frame-rate is {self.frame_rate:g}; give pictures a second between 1 and 1000")
        if self.actor < 1:
            raise InputError(f"--actor is {self.actor}; actors are counted from 1")
        if self.workers is not None and not 1 <= self.workers <= MAX_WORKERS:
            raise InputError(f"--workers is {self.workers}; give a number of cores from 1 to {MAX_WORKERS}")
        if self.figure is not None and self.figure < 1:
            raise InputError(f"--figure is {self.figure}; figures are counted from 1")
        if not 0 <= self.first_frame <= MAX_FRAME_NUMBER:
            raise InputError(f"--first-frame is {self.first_frame}; give a number from 0 to {MAX_FRAME_NUMBER}")
        if self.start is not None and self.start < 0:
            raise InputError(f"--start is {self.start:g}; give seconds from the beginning of the file")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise InputError(f"--end ({self.end:g} s) must be later than --start ({self.start:g} s)")
