"""JSON files as typed records: parsed and checked in one step where they are read, so that no other code doubts them.

A record is a `Record` with annotated fields. Numbers are finite, unknown names are ignored unless a record forbids
them, and files are parsed by pydantic's own reader, which bounds their nesting.
"""

# A schema is any JSON.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema

from understudy.io.files import claim_values, name_within, read_bytes
from understudy.runtime.errors import FileFormatError, InputError, quoted

__all__ = ["NameWithin", "Record", "parse_record", "read_record"]

NameWithin = Annotated[str, AfterValidator(name_within)]
"""The name of a file relative to the folder of the file that names it; reaches nowhere else."""

Kind = TypeVar("Kind", bound="Record")


def _stop_at_first_faults(schema: Any) -> None:
    """Let lists and objects end at their first fault: to keep one takes a kilobyte, and a file may have millions."""
    if isinstance(schema, dict):
        if schema.get("type") in ("list", "tuple", "dict"):
            schema["fail_fast"] = True
        for key, part in schema.items():
            if key not in ("metadata", "default"):
                _stop_at_first_faults(part)
    elif isinstance(schema, list):
        for part in schema:
            _stop_at_first_faults(part)


class Record(BaseModel):
    """What a JSON file holds, by names and types; immutable, numbers finite."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _stop_at_first_faults(schema)
        return schema


def read_record(path: Path, kind: type[Kind], what: str, max_bytes: int) -> Kind:
    """A JSON file as a record.

    Raises:
        FileFormatError: absent, no regular file, larger than `max_bytes`, no JSON, or a field is
            missing or of the wrong type; the text calls the file a `what` and names the field.
    """
    return parse_record(read_bytes(path, what, max_bytes), path, kind, what)


def parse_record(
    content: bytes, path: Path, kind: type[Kind], what: str, error: type[InputError] = FileFormatError
) -> Kind:
    """JSON text, found in the file `path`, as a record.

    Raises:
        InputError: of the kind `error`: as `read_record`, or it holds too much.
    """
    claim_values(path, content, error)
    try:
        return kind.model_validate_json(content)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        got = "" if first["type"] in ("missing", "json_invalid") else f", got {quoted(first['input'])}"
        place = f"{quoted(where)[1:-1]}: " if where else ""
        raise error(f"{quoted(path)} is no {what} that can be used ({place}{first['msg']}{got}); correct it") from None
