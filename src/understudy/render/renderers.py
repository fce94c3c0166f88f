"""Every renderer by name."""

from dataclasses import replace
from typing import Literal

import numpy as np

from understudy.core.environment import Light
from understudy.render.backends.opengl import OpenGL
from understudy.render.backends.reference import Reference

__all__ = ["FLAT_LIGHT", "RENDERERS", "RendererConfig", "RendererName", "for_silhouettes"]

RendererConfig = OpenGL | Reference
RendererName = Literal["opengl", "reference"]

RENDERERS: dict[RendererName, type[RendererConfig]] = {"opengl": OpenGL, "reference": Reference}
"""Frozen configurations; `RENDERERS[name]().build()` gives a Renderer."""

FLAT_LIGHT = Light(np.array([0.0, 1.0, 0.0]), np.zeros(3), np.ones(3), np.ones(3))
"""For renders of which only silhouettes or normals matter."""


def for_silhouettes(config: RendererConfig) -> RendererConfig:
    """The same renderer where only silhouettes and normals matter: one sample a pixel, hardly a shadow."""
    plain = replace(config, supersampling=1, motion=False, self_occlusion=False)
    return replace(plain, shadow_map_px=16) if isinstance(plain, OpenGL) else plain
