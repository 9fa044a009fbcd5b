"""The picture of the transition table for the documentation, drawn from the table itself."""

from __future__ import annotations

from corvus_smtp._state import ACCEPTED

__all__ = ["state_table"]


def state_table() -> str:
    """
    Draw `ACCEPTED` as a Markdown table: each state, what it means, where each verb leads.

    Verbs that change nothing stand together, behind "stays".

    >>> print(state_table().splitlines()[2])
    | GREETING | nothing has been said yet: the greeting is owed | |
    """
    rows = ["| state | meaning | once accepted |", "|---|---|---|"]
    for state, verbs in ACCEPTED.items():
        leads: dict[str, list[str]] = {}
        for verb, to in verbs.items():
            leads.setdefault("stays" if to is state else f"**{to.name}**", []).append(verb.value)
        cell = "; ".join(f"{', '.join(names)} → {to}" for to, names in leads.items())
        rows.append(f"| {state.name} | {state.value} | {cell}{' ' if cell else ''}|")
    return "\n".join(rows)
