"""Questions of a panel, each answered in a thread: neither a cell nor another question waits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.widgets.answers import KernelAnswers
    from aaiclick_ext.widgets.messages import Question

    Tell = Callable[[Question, str, dict[str, Any]], object]


class Asking:
    """The questions that are being answered.

    JupyterLab handles the messages of widgets in a thread where no Ctrl-C arrives, other front ends
    in the main thread, between cells. Here it is always a thread of ours, and `stop` ends it.

    Parameters
    ----------
    tell
        Is given each question, the table that it was about, and the answer; called in the thread.
    """

    def __init__(self, answers: KernelAnswers, tell: Tell) -> None:
        self._answers = answers
        self._tell = tell
        self._threads: dict[int, threading.Thread] = {}

    def ask(self, question: Question, table: str) -> None:
        """Begin to answer a question; a number that is being answered is not asked again."""
        if question.request in self._threads:
            return
        thread = threading.Thread(
            target=self._answer, args=(question, table), name="aai-answer", daemon=True
        )
        self._threads[question.request] = thread
        thread.start()

    def stop(self, request: int) -> None:
        """Kill what answers a question; nothing where it was answered."""
        thread = self._threads.get(request)
        if thread is not None and thread.ident is not None:
            self._answers.stop(thread.ident)

    def stop_all(self) -> None:
        """Kill everything that is being answered."""
        for request in list(self._threads):
            self.stop(request)

    def wait(self) -> None:
        """Return when every question that was asked has been answered."""
        for thread in list(self._threads.values()):
            thread.join()

    def _answer(self, question: Question, table: str) -> None:
        try:
            answer = self._answers.answer(question.about, table, question.row)
            self._tell(question, table, answer)
        finally:
            del self._threads[question.request]
