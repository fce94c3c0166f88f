"""`understudy VERB …`: the command line."""

import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from understudy import __version__
from understudy.core.errors import UnderstudyError

__all__ = ["VERBS", "main"]

VERBS = {
    "recast": "re-shoot a film shot with your character in the actor's place",
    "shoot": "film a new subject in a given set: pictures of it, a camera move, a few words",
    "scene": "train and evaluate the video models that shoot, and render their data",
    "evaluate": "measure against known truth: motion, camera and silhouettes, shot by shot",
    "doctor": "say what is installed, what is in the cache, and what each backend still needs",
    "weights": "list, fetch and verify model weights",
}
"""Each verb's module is `understudy.cli.VERB`, with a function `main(arguments)`; imported only when it is called."""


def _usage() -> str:
    verbs = "\n".join(f"  {verb:<10}{what}" for verb, what in VERBS.items())
    return (
        f"understudy {__version__} re-shoots film.\n\nusage: understudy VERB [options]\n\n{verbs}\n\n"
        "Every verb explains itself: understudy VERB --help"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the process's exit code: 0 done, 2 bad input, 3 a backend is missing, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        print(f"understudy: there is no verb {verb!r}; choose from {', '.join(VERBS)}", file=sys.stderr)
        return 2
    logging.basicConfig(format="understudy: %(message)s", level=logging.WARNING)
    try:
        import_module(f"understudy.cli.{verb}").main(rest)
    except UnderstudyError as error:
        print(f"understudy: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nunderstudy: interrupted; the same command, given again, uses what is finished", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
