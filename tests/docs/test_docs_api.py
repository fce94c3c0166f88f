"""The public interface: what the package offers, what docs/api.md describes and what the code has are the same."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("griffe", reason="needs the dev extra: griffelib")

from page_makers import maker, written

import understudy

api_page = maker("scripts.api_page")
NAMES = {name: module for names in api_page.listed().values() for name, module in names.items()}


def test_the_package_offers_what_is_listed():
    assert sorted(understudy.__all__) == sorted(NAMES)
    assert set(understudy.__all__) <= set(dir(understudy))


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_public_where_it_comes_from(name):
    module = importlib.import_module(NAMES[name])
    assert name in module.__all__
    assert getattr(understudy, name) is getattr(module, name)


def test_all_nouns_are_listed():
    core = Path(understudy.__file__).with_name("core")
    modules = [importlib.import_module(f"understudy.core.{path.stem}") for path in core.glob("[a-z]*.py")]
    assert {name for module in modules for name in module.__all__} <= set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.isupper()])
def test_each_function_and_class_says_what_it_is(name):
    thing = getattr(understudy, name)
    if inspect.isfunction(thing) or inspect.isclass(thing):
        assert thing.__doc__ and not thing.__doc__.startswith(f"{name}("), "only what dataclasses say of themselves"


def test_a_name_that_is_not_offered_is_an_attribute_error():
    with pytest.raises(AttributeError, match="recst"):
        understudy.recst  # noqa: B018


def test_asking_for_a_noun_loads_no_stage():
    loaded = "print('understudy.decompose' in sys.modules, 'cv2' in sys.modules)"
    code = f"import sys, understudy; understudy.CameraPath; {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_page_says_what_the_code_says():
    assert api_page.page() == written("docs/api.md"), "run: make docs"


def test_the_page_has_an_entry_for_each_name():
    page = written("docs/api.md")
    assert [name for name in NAMES if f"\n### {name}\n" not in page] == []
