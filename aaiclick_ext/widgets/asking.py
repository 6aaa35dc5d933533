"""Questions of a panel, each answered in a thread: neither a cell nor another question waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aaiclick_ext.widgets.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.widgets.answers import KernelAnswers
    from aaiclick_ext.widgets.messages import Question

    Tell = Callable[[Question, str, dict[str, Any]], object]


class Asking(Requests):
    """The questions that are being answered; one that is stopped is answered with that.

    Parameters
    ----------
    tell
        Is given each question, the table that it was about, and the answer; called in the thread.
    """

    def __init__(self, answers: KernelAnswers, tell: Tell) -> None:
        super().__init__("aai-answer", answers.stop)
        self._answers = answers
        self._tell = tell

    def ask(self, question: Question, table: str) -> None:
        """Begin to answer a question; a number that is being answered is not asked again."""
        self.begin(question.request, lambda: self._answer(question, table))

    def _answer(self, question: Question, table: str) -> None:
        answer = self._answers.answer(question.about, table, question.row)
        self._tell(question, table, answer)
