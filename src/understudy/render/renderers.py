"""Every renderer by name."""

from understudy.render.backends.opengl import OpenGL
from understudy.render.backends.reference import Reference

__all__ = ["RENDERERS", "RendererConfig"]

RendererConfig = OpenGL | Reference

RENDERERS: dict[str, type[RendererConfig]] = {"opengl": OpenGL, "reference": Reference}
"""Frozen configurations; `RENDERERS[name]().build()` gives a Renderer."""
