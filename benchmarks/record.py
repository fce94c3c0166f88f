"""Where benchmark results go: a table on the screen, a JSON file beside the code."""

import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "commit", "save", "table"]

RESULTS = Path(__file__).parent / "results"


def commit() -> str:
    """Of the code that is measured, abbreviated."""
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


def save(name: str, figures: dict[str, Any]) -> Path:
    """Write `results/NAME.json` with the commit, the machine and the date."""
    cores = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    content = {
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{len(cores)} × {cores[0].partition(':')[2].strip()}" if cores else platform.processor(),
        "python": platform.python_version(),
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def table(rows: list[dict[str, Any]]) -> str:
    """Rows with the same keys, as aligned text."""
    heads = list(rows[0])
    cells = [heads] + [[_text(row[head]) for head in heads] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
