"""Logging: every record of ours says which node and session it is of.

Records of the logger ``aaiclick_ext`` and of those below it have the attributes ``node`` and
``session``, ``"-"`` while the process has no lease. To show them::

    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter(
            "%(asctime)s node %(node)s session %(session)s %(name)s: %(message)s",
            defaults={"node": "-", "session": "-"},  # for the records of others
        )
    )
    logging.getLogger("aaiclick_ext").addHandler(handler)
"""

from __future__ import annotations

import logging

ROOT = "aaiclick_ext"
_NOBODY: tuple[int | str, int | str] = ("-", "-")


class OwnerFilter(logging.Filter):
    """Puts node and session on a record, and lets it pass.

    Attributes
    ----------
    owner
        The node and session of this process; of several registries, the last that gave a lease.
    """

    owner = _NOBODY

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes unless the record has them."""
        node, session = self.owner
        if not hasattr(record, "node"):
            record.node = node
        if not hasattr(record, "session"):
            record.session = session
        return True


_filter = OwnerFilter()


def logger_of(part: str = "") -> logging.Logger:
    """Return the logger of a part of the package, or of all of it.

    A logger's filters see only what is logged to itself, not what reaches it from below; so each
    has this one.
    """
    logger = logging.getLogger(f"{ROOT}.{part}" if part else ROOT)
    logger.addFilter(_filter)  # again is no more
    return logger


def set_owner(node_id: int, session_id: int) -> None:
    """Say whose records come from now on."""
    _filter.owner = (node_id, session_id)


def clear_owner(node_id: int, session_id: int) -> None:
    """Say that a lease has ended."""
    if _filter.owner == (node_id, session_id):
        _filter.owner = _NOBODY


logger_of()
