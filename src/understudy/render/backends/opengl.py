"""The default renderer: our own shaders on OpenGL 3.3, in software (Mesa llvmpipe) or on whatever GPU there is."""

from dataclasses import dataclass

from understudy.render.protocol import Renderer
from understudy.runtime.checks import check_options

__all__ = ["OpenGL"]


@dataclass(frozen=True)
class OpenGL:
    """Configuration of the OpenGL renderer."""

    supersampling: int = 2
    """Samples per pixel along each axis."""
    shadow_map_px: int = 768
    """Side of the square picture that the key light sees."""
    ground_shadow: bool = True
    """Whether to work out the shadow on the plane y = 0; not needed where the ground itself is part of the take."""
    contact_strength: float = 0.4
    """How dark the ground is right under what touches it, 0 … 1."""
    contact_reach_m: float = 0.1
    """How high above the ground, and how far around, something still darkens it."""
    self_occlusion: bool = True
    """Whether bodies keep the light from all sides from themselves: under arms and chin, between legs."""
    motion: bool = False
    """Whether to work out how far each point moves in the picture (`Passes.motion_px`)."""

    def __post_init__(self) -> None:
        check_options(
            self, supersampling=(1, 8), shadow_map_px=(4, 8192), contact_strength=(0, 1), contact_reach_m=(0, 10)
        )

    def build(self) -> Renderer:
        """A renderer with a context of its own; close it, or use it in a `with` statement.

        Raises:
            BackendUnavailable: this machine has no OpenGL 3.3, not even in software.
        """
        from understudy.render.backends.opengl_context import open_context
        from understudy.render.backends.opengl_renderer import OpenGLRenderer

        return OpenGLRenderer(self, open_context())
