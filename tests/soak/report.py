"""The counts of a soak as a table: on the terminal, and in docs/reliability.md.

python -m tests.soak.report docs/soak.json            prints the page's table
python -m tests.soak.report docs/soak.json --write    puts it into docs/reliability.md
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- soak -->", "<!-- /soak -->"
COLUMNS = ("same", "refused", "read", "right")


def merged(found: list[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """By part, the counts of its pieces together."""
    parts: dict[str, dict[str, Any]] = {}
    for name, piece in found:
        part = parts.setdefault(
            name, {"trials": 0, "wrong": 0, "seconds": 0, "skipped": "", "kinds": {}, "examples": []}
        )
        for key in ("trials", "wrong", "seconds"):
            part[key] = round(part[key] + piece[key], 1)
        part["skipped"] = part["skipped"] or piece["skipped"]
        part["examples"] += piece["examples"]
        for kind, counts in piece["kinds"].items():
            part["kinds"][kind] = dict(Counter(part["kinds"].get(kind, {})) + Counter(counts))
    return parts


def rows(record: dict[str, Any]) -> list[list[str]]:
    """One a kind of a part: part, kind, trials, those of `COLUMNS`, wrong; and one with the sum."""
    out, total = [], Counter()
    for name, part in record["parts"].items():
        if part["skipped"]:
            out.append([name, f"not run: {part['skipped']}", "", *[""] * len(COLUMNS), ""])
        for kind, counts in sorted(part["kinds"].items()):
            wrong = sum(count for outcome, count in counts.items() if outcome not in COLUMNS)
            fine = [counts.get(column, 0) for column in COLUMNS]
            total.update({"trials": sum(counts.values()), "wrong": wrong, **dict(zip(COLUMNS, fine))})
            out.append([name, kind, f"{sum(counts.values()):,}", *(f"{n:,}" if n else "" for n in fine), f"{wrong:,}"])
    fine = [f"{total[column]:,}" for column in COLUMNS]
    return [*out, ["all", "", f"{total['trials']:,}", *fine, f"{total['wrong']:,}"]]


def as_text(record: dict[str, Any]) -> str:
    """For a terminal: the table, then examples of what was wrong."""
    from tabulate import tabulate

    align = ["left", "left", *["right"] * (len(COLUMNS) + 2)]
    lines = [tabulate(rows(record), ["part", "kind", "trials", *COLUMNS, "wrong"], colalign=align)]
    for name, part in record["parts"].items():
        lines += [f"wrong, {name}: {example}" for example in part["examples"]]
    return "\n".join(lines)


def as_markdown(record: dict[str, Any]) -> str:
    """For the page: what was run, and the table."""
    versions = record["versions"]
    minutes = round(record["seconds"] / 60)
    lines = [
        f"`{record['command']}`, {minutes} minutes, {record['machine']}, torch {versions['torch']}, code "
        f"`{versions['code']}`.",
        "",
        "| part | kind | trials | same numbers | refused | read | refused or read, as was to be | wrong |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(f"| {' | '.join(row)} |" for row in rows(record)),
    ]
    return "\n".join(lines)


def fill(page: str, record: dict[str, Any]) -> str:
    """The page with the table of ``record`` between its two marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{as_markdown(record)}\n{END}{after}"


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0].startswith("-"):
        print(__doc__)
        return 2
    record = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    if "--write" in words:
        PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), record), encoding="utf-8")
    else:
        print(as_markdown(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
