"""Results as Markdown."""

from typing import Any

from scripts.markdown import table

__all__ = ["listed", "origin", "plain"]


def origin(name: str, result: dict[str, Any]) -> str:
    """Where a result is from."""
    said = [f"commit {result['commit']}"] if "commit" in result else []
    said += [str(result[key]) for key in ("date", "machine") if key in result]
    return f"<sub>[{name}.json](../benchmarks/results/{name}.json): {', '.join(said)}</sub>\n"


def listed(result: dict[str, Any]) -> str:
    """A result as it is: plain values as a list, rows of values as tables, what lies deeper is left to the file."""
    parts, facts = [], []
    for key, value in result.items():
        if key in ("commit", "date", "machine", "python"):
            continue
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            heads = [head for head in value[0] if not isinstance(value[0][head], (dict, list))]
            parts.append(f"{key}:\n\n" + table([{head: plain(row.get(head)) for head in heads} for row in value]))
        elif isinstance(value, dict):
            rows = {name: part for name, part in value.items() if not isinstance(part, (dict, list))}
            facts += [f"- {key}, {name}: {plain(part)}" for name, part in rows.items()]
            nested = {name: part for name, part in value.items() if isinstance(part, dict)}
            flat = [{"": name} | {k: plain(v) for k, v in part.items()} for name, part in nested.items()]
            if flat and all(list(row) == list(flat[0]) for row in flat):
                parts.append(f"{key}:\n\n" + table(flat))
        else:
            facts.append(f"- {key}: {plain(value)}")
    return "\n".join(["\n".join(facts) + "\n"] * bool(facts) + parts)


def plain(value: Any) -> str:
    """A value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")
