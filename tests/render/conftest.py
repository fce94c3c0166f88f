"""The renderers, built once per module."""

import pytest

from understudy.render.renderers import RENDERERS


@pytest.fixture(scope="module", params=sorted(RENDERERS))
def renderer(request):
    with RENDERERS[request.param]().build() as built:
        yield built


@pytest.fixture(scope="module")
def both():
    with RENDERERS["opengl"]().build() as opengl, RENDERERS["reference"]().build() as reference:
        yield opengl, reference
