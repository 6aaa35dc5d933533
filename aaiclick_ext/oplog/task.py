"""Task: one execution of a cell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Task:
    """One execution of a cell, the unit of work that events belong to.

    Parameters
    ----------
    task_id
        A Snowflake; None until the context in which it runs has a node id.
    cell_id
        As the front end names the cell, or None where it does not.
    execution_count
        The number in ``In[…]``, or None where history is not kept.
    source
        The cell's text as typed; it is masked before it is stored.
    notebook_path
        The notebook's, as the front end names it, or None where it does not.
    """

    task_id: int | None = None
    cell_id: str | None = None
    execution_count: int | None = None
    source: str | None = None
    notebook_path: str | None = None
