"""Writes docs/api.md from the public interface: src/understudy/__init__.pyi, the annotations and the docstrings."""

import ast
from pathlib import Path

import griffe

from scripts.markdown import anchor

__all__ = ["listed", "page"]

ROOT = Path(__file__).parents[1]
MAX_VALUE_CHARACTERS = 80
"""Longer defaults and constants are left to the source."""
PACKAGE, PAGE = ROOT / "src/understudy", ROOT / "docs/api.md"
INTRODUCTION = """# Programming interface

<!-- Written by scripts/api_page.py from __init__.pyi and the docstrings: change those, then `make docs`. -->

Everything here is a name of the package: `import understudy`, then `understudy.recast(…)`. Each name is loaded when it
is first used, so that the import itself takes no time. Axes, units and the order of numbers are those of
[conventions.md](conventions.md); the terms are those of [glossary.md](glossary.md); [examples/](../examples) has whole
programs. Other modules of the package may change without notice.
"""


def listed() -> dict[str, dict[str, str]]:
    """Each heading of the public interface with its names, and the module that each comes from."""
    stub = (PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    heads = {number: line[3:] for number, line in enumerate(stub.splitlines(), 1) if line.startswith("## ")}
    found: dict[str, dict[str, str]] = {head: {} for head in heads.values()}
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ImportFrom):
            head = heads[max(line for line in heads if line < node.lineno)]
            found[head] |= {alias.name: f"understudy.{node.module}" for alias in node.names}
    return found


def page() -> str:
    """The page as text."""
    package = griffe.load("understudy", search_paths=[str(ROOT / "src")], docstring_parser="google")
    parts = [INTRODUCTION]
    sections = listed()
    for head, names in sections.items():
        parts.append(f"- [{head}](#{anchor(head)}): " + ", ".join(f"[`{name}`](#{anchor(name)})" for name in names))
    for head, names in sections.items():
        parts.append(f"\n## {head}\n")
        for name, module in names.items():
            parts.append(entry(package[f"{module.removeprefix('understudy.')}.{name}"]))
    return "\n".join(parts).rstrip() + "\n"


def entry(thing: griffe.Object | griffe.Alias) -> str:
    """One name: where it is from, how it is called or what it holds, and what it says of itself."""
    thing = thing.final_target if isinstance(thing, griffe.Alias) else thing
    file = Path(str(thing.filepath)).relative_to(ROOT).as_posix()
    lines = [f"### {thing.name}\n", f"[`{thing.path}`](../{file})\n"]
    if isinstance(thing, griffe.Function):
        lines.append(code(signature(thing)))
    elif isinstance(thing, griffe.Class):
        lines.append(code(f"class {thing.name}" + (f"({', '.join(map(str, thing.bases))})" if thing.bases else "")))
    elif isinstance(thing, griffe.Attribute):
        lines.append(code(f"{thing.name} = {short(str(thing.value))}"))
    lines.append(described(thing))
    if isinstance(thing, griffe.Class):
        lines += members(thing)
    return "\n".join(line for line in lines if line)


def members(kind: griffe.Class) -> list[str]:
    """Fields as a list, then methods: those that are said to be for others."""
    fields, methods = [], []
    for member in kind.members.values():
        if member.name.startswith("_") or isinstance(member, griffe.Alias):
            continue
        if isinstance(member, griffe.Attribute):
            default = "" if member.value is None else f" = {short(str(member.value))}"
            said = " ".join(described(member).split())
            annotation = f": {as_written(member.annotation)}" if member.annotation is not None else ""
            fields.append(f"- `{member.name}{annotation}{default}`" + (f" — {said}" if said else ""))
        elif isinstance(member, griffe.Function) and member.docstring:
            methods.append(f"**`{' '.join(signature(member).split())}`**\n\n{described(member)}")
    return [*(["\n".join(fields) + "\n"] if fields else []), *methods]


def signature(function: griffe.Function) -> str:
    """A function as it is declared; each argument on its own line where one line is too short."""
    arguments: list[str] = []
    star = False
    for parameter in function.parameters:
        if parameter.name == "self":
            continue
        kind, sign = parameter.kind, ""
        if kind is griffe.ParameterKind.var_keyword:
            sign = "**"
        elif kind is griffe.ParameterKind.var_positional:
            sign = "*"
        elif kind is griffe.ParameterKind.keyword_only and not star:
            arguments.append("*")
            star = True
        annotation = f": {as_written(parameter.annotation)}" if parameter.annotation is not None else ""
        default = f" = {as_written(parameter.default)}" if parameter.default is not None and not sign else ""
        arguments.append(f"{sign}{parameter.name}{annotation}{default}")
    end = f") -> {as_written(function.returns)}" if function.returns is not None else ")"
    line = f"{function.name}({', '.join(arguments)}{end}"
    if len(line) <= 100:
        return line
    return f"{function.name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + end


def described(thing: griffe.Object) -> str:
    """A docstring as Markdown: arguments and errors as lists."""
    if thing.docstring is None:
        return ""
    parts = []
    for section in thing.docstring.parse("google", warnings=False):
        if section.kind is griffe.DocstringSectionKind.text:
            parts.append(section.value + "\n")
        elif section.kind is griffe.DocstringSectionKind.parameters:
            parts.append("\n".join(f"- `{item.name}`: {one_line(item.description)}" for item in section.value) + "\n")
        elif section.kind is griffe.DocstringSectionKind.raises:
            parts += ["Raises:\n"]
            parts.append("\n".join(f"- `{item.annotation}`: {one_line(item.description)}" for item in section.value))
            parts[-1] += "\n"
        else:
            raise ValueError(f"{thing.path}: a docstring has a section {section.kind.value}, which the page has not")
    return "\n".join(parts)


def one_line(text: str) -> str:
    """Text without its line ends."""
    return " ".join(text.split())


def short(value: str) -> str:
    """A value in one line; long ones are left to the source."""
    value = as_written(value)
    return value if len(value) <= MAX_VALUE_CHARACTERS else "…"


def as_written(expression: object) -> str:
    """An expression in one line, with the quotation marks that the source has."""
    text = one_line(str(expression))
    return text if '"' in text else text.replace("'", '"')


def code(text: str) -> str:
    """A block of Python."""
    return f"```python\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
