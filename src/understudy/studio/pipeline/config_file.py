"""Options from a TOML file: the usual ones at its head, those of a stage in a table of its name.

quality = "draft"
[body]
window_frames = 96
[plate.blend]
feather_px = 6
"""

import json
import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from understudy.io.files import read_bytes
from understudy.runtime.errors import FileFormatError, InputError, quoted
from understudy.studio.pipeline.config import RecastConfig

__all__ = ["read_config"]

MAX_CONFIG_BYTES = 1 << 20
Config = TypeVar("Config")


def read_config(path: Path) -> RecastConfig:
    """The options that a TOML file holds; what it does not name keeps its default.

    Raises:
        FileFormatError: no TOML, a name that no option has, or a value of another type or out of range; its text names
            the file and the key.
    """
    try:
        content = tomllib.loads(read_bytes(path, "file of options", MAX_CONFIG_BYTES).decode())
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{quoted(path)} is no TOML that can be read ({error}); correct it") from error
    return _changed(path, RecastConfig(), content, "")


def _changed(path: Path, config: Config, content: dict[str, Any], prefix: str) -> Config:
    """A configuration with the values of one table."""
    types, changes = get_type_hints(type(config)), {}
    known = {one.name: getattr(config, one.name) for one in fields(config)}  # type: ignore[arg-type]
    for key, value in content.items():
        if key not in known:
            raise FileFormatError(f"{quoted(path)} names {quoted(prefix + key)}; give one of {', '.join(known)}")
        if is_dataclass(known[key]):
            if not isinstance(value, dict):
                raise FileFormatError(
                    f"{quoted(path)}: {prefix}{key} is {quoted(value)}; write a table [{prefix}{key}]"
                )
            changes[key] = _changed(path, known[key], value, f"{prefix}{key}.")
        else:
            changes[key] = _value(path, types[key], value, prefix + key)
    try:
        return replace(config, **changes)  # type: ignore[type-var]
    except InputError as error:
        where = f", in [{prefix[:-1]}]" if prefix else ""
        raise FileFormatError(f"{quoted(path)}{where}: {error}") from error


def _value(path: Path, kind: Any, value: Any, key: str) -> Any:
    try:
        # As JSON, in which a list may become a tuple and a text a path, but no text a number.
        return TypeAdapter(kind).validate_json(json.dumps(value, allow_nan=False), strict=True)
    except (ValidationError, TypeError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise FileFormatError(f"{quoted(path)}: {key} is {quoted(value)} ({reason}); correct it") from error
