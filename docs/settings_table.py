"""A griffe extension: the settings that a report does not state, as a table in the documentation of each lab."""

import ast
from typing import Any

import griffe

HEAD = "| Setting | Default | Grade | Reason | Alternatives |\n|---|---|---|---|---|"


class SettingsTable(griffe.Extension):
    """Replace calls of `known` and `assumed` in a lab by their defaults, and list the reasons in its docstring."""

    def on_class_members(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Change a class as soon as its members are loaded, before its signature is derived from them."""
        rows = []
        for name, member in cls.members.items():
            if isinstance(member, griffe.Attribute) and (call := _call(member)):
                member.value = call.arguments[0]
                rows.append(_row(name, call))
        if rows and cls.docstring:
            table = "\n".join([HEAD, *rows])
            cls.docstring.value += f"\n\nSettings that the report does not state:\n\n{table}"


def _call(attribute: griffe.Attribute) -> griffe.ExprCall | None:
    value = attribute.value
    declares = isinstance(value, griffe.ExprCall) and str(value.function) in ("known", "assumed")
    return value if declares else None  # type: ignore[return-value]


def _row(name: str, call: griffe.ExprCall) -> str:
    positional, keywords = [], {}
    for argument in call.arguments:
        if isinstance(argument, griffe.ExprKeyword):
            keywords[argument.name] = ast.literal_eval(str(argument.value))
        else:
            positional.append(argument)
    default, *rest = positional
    if str(call.function) == "known":
        grade, reason = (ast.literal_eval(str(part)) for part in rest[:2])
        alternatives = rest[2:]
    else:
        grade = keywords.get("grade", "open")
        reason, *alternatives = (ast.literal_eval(str(rest[0])), *rest[1:])
    others = "<br>".join(map(_alternative, alternatives))
    return f"| `{name}` | `{default}` | {grade} | {_cell(reason)} | {others} |"


def _alternative(declared: Any) -> str:
    """Return an alternative, which is declared as a bare value or with a reason."""
    if not (isinstance(declared, griffe.ExprCall) and str(declared.function) == "Alternative"):
        return f"`{declared}`"
    value, reason = declared.arguments
    return f"`{value}`: {_cell(ast.literal_eval(str(reason)))}"


def _cell(text: str) -> str:
    return text.replace("|", "&#124;")
