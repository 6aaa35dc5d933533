"""How columns and scalars of ours are shown as the last line of a cell.

A `View` shows itself. Ibis's columns and scalars are not our classes, and show the expression that
they are; shown by us, they show their value.
"""

from __future__ import annotations

from typing import Any

from aaiclick_ext.notebook.reach import is_expression_of_ours

_MODULE = "ibis.expr.types.generic"
_CLASSES = ("Column", "Scalar")
_MAX_CHARACTERS = 1_000


class ValueFormatters:
    """The formatters, as registered with a shell.

    Registered by name, so that Ibis is not imported for it, and with `for_type_by_name`, so that
    nothing of the user's is replaced.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(self, ip: Any) -> None:
        self._formatter = ip.display_formatter.mimebundle_formatter
        self._before = {
            name: self._formatter.for_type_by_name(_MODULE, name, show_value) for name in _CLASSES
        }

    def close(self) -> None:
        """Put back what was registered before."""
        for name, before in self._before.items():
            self._formatter.pop(f"{_MODULE}.{name}", None)
            if before is not None:
                self._formatter.for_type_by_name(_MODULE, name, before)


def show_value(expression: Any) -> Any:
    """Return the mime bundle of a column or scalar; runs one query.

    Expressions on other backends are shown the way Ibis does.
    """
    import ibis.expr.types as ir

    if not is_expression_of_ours(expression):
        method = getattr(expression, "_repr_mimebundle_", None)
        return None if method is None else method(include=None, exclude=None)
    if isinstance(expression, ir.Scalar):
        from aaiclick_ext.objects.display import scalar_value

        return {"text/plain": scalar_text(scalar_value(expression))}
    from aaiclick_ext.objects.view import make_view

    return make_view(expression.as_table().op())._repr_mimebundle_()


def scalar_text(value: object) -> str:
    r"""Return a value as one piece of text, saying so where it is cut.

    Examples
    --------
    >>> scalar_text("a\\tb")
    "'a\\\\tb'"
    """
    text = repr(value)
    if len(text) <= _MAX_CHARACTERS:
        return text
    return f"{text[:_MAX_CHARACTERS]}… ({len(text):,} characters)"
