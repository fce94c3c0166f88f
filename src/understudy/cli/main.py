"""`understudy VERB …`: the command line."""

import logging
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from understudy import __version__
from understudy.cli.endings import Ended, discard_output, ending_by_signals, ready_output, sentence_and_code
from understudy.runtime.errors import InputError, printable, quoted

__all__ = ["VERBS", "main"]

VERBS = {
    "recast": "re-shoot a film shot with your character in the actor's place",
    "plate": "make the clean plate of a shot: the set without the actor",
    "matte": "make the matte of a shot's actor, soft at the edges",
    "cast": "make a character of a picture, or check a rig: turntable, views, poses, doubts",
    "animate": "film a character that does a motion: BVH, a glTF clip, the actor of a film",
    "demo": "recast the sample that comes with the package: a first film without anything to prepare",
    "stages": "list the stages of a recast: what each does, reads and makes",
    "shoot": "film a new subject in a given set: pictures of it, a camera move, a few words",
    "scene": "train and evaluate the video models that shoot, and render their data",
    "evaluate": "measure against known truth: motion, camera and silhouettes, shot by shot",
    "doctor": "say what is installed, what is in the cache, and what each backend still needs",
    "weights": "list, fetch and verify model weights",
}
"""Each verb's module is `cli.verbs.VERB`, with a function `main(arguments)`; imported only when it is called."""


def _usage() -> str:
    verbs = "\n".join(f"  {verb:<10}{what}" for verb, what in VERBS.items())
    return (
        f"understudy {__version__} re-shoots film.\n\nusage: understudy VERB [options]\n\n{verbs}\n\n"
        "Every verb explains itself: understudy VERB --help"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the process's exit code: 0 done, else as `understudy.cli.endings` says."""
    ready_output()
    with ending_by_signals():
        try:
            try:
                return _run(list(sys.argv[1:] if arguments is None else arguments))
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            return 1  # whoever read the output has gone
        except (Exception, KeyboardInterrupt, Ended) as error:
            return _tell(error)
        finally:
            discard_output()


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        raise InputError(f"there is no verb {quoted(verb)}; choose from {', '.join(VERBS)}")
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("understudy: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    import_module(f"understudy.cli.verbs.{verb}").main(rest)
    return 0


class _OneLine(logging.Formatter):
    """A message as one printable line: it may quote what a file holds."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _tell(error: BaseException) -> int:
    """Say how a verb ended; returns the exit code."""
    told = sentence_and_code(error)
    with suppress(OSError, ValueError):
        if told is None:
            traceback.print_exception(error)
            print(
                "understudy: this is a fault in understudy; please report it, with the lines above and the command",
                file=sys.stderr,
            )
        else:
            print(f"understudy: {printable(told[0])}", file=sys.stderr)
    return 1 if told is None else told[1]


if __name__ == "__main__":
    sys.exit(main())
