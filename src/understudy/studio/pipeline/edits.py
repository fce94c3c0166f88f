"""Do the user's edits fit the shot? Asked before any stage reads them."""

import re

from understudy.studio.pipeline.order import artifact_of
from understudy.studio.pipeline.production import Cut, Production

__all__ = ["check_edits"]

_CUT = re.compile("cut_[0-9]+/")


def check_edits(production: Production, cut: Cut | None = None) -> None:
    """See that everything that was edited can be read, and has the shot's frames and size.

    Args:
        cut: whose files; None: those of the whole film.

    Raises:
        InputError: one has not; its text names it and says what to do.
    """
    for file in production.project.edits:
        artifact, found = artifact_of(file), _CUT.match(file)
        if artifact is None or artifact.check is None or not artifact.is_read(file):
            continue
        if cut is None and artifact.level == "film":
            artifact.check(production.path(file), production.shot)
        elif cut is not None and artifact.level in ("cut", "actor") and (found[0] if found else "") == cut.prefix:
            artifact.check(production.path(file), cut.shot)
