"""Summarises a CSV file column by column.

Takes the file and the delimiter from its arguments; writes `summary.json` and `summary.md` into the current folder.
Quoted fields, also with line breaks in them, are read as RFC 4180 has them. Needs Python 3.9 and nothing else.
"""

import argparse
import csv
import json
import statistics
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
EVERY_ROWS = 50


def say(progress: float, message: str) -> None:
    """One progress update."""
    print(json.dumps({"progress": round(progress, 1), "message": message}), flush=True)


def number(text: str):
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 else None  # neither infinite nor not-a-number


def moment(text: str):
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None


def summarise(name: str, values: list[str]) -> dict:
    present = [value for value in values if value.strip()]
    summary = {"column": name, "values": len(present), "missing": len(values) - len(present), "distinct": len(set(present))}
    numbers = [number(value) for value in present]
    if present and None not in numbers:
        quartiles = statistics.quantiles(numbers, n=4) if len(numbers) > 1 else [numbers[0]] * 3
        summary |= {
            "type": "number",
            "min": min(numbers),
            "max": max(numbers),
            "mean": round(statistics.fmean(numbers), 4),
            "standard_deviation": round(statistics.pstdev(numbers), 4),
            "quartiles": [round(quartile, 4) for quartile in quartiles],
        }
    elif present and all(moment(value) for value in present):
        summary |= {"type": "time", "min": min(present), "max": max(present)}
    else:
        summary |= {"type": "text" if present else "empty", "longest": max(map(len, present), default=0)}
    summary["most_frequent"] = [{"value": value, "count": count} for value, count in Counter(present).most_common(5)]
    return summary


def read(path: Path, delimiter: str) -> tuple[list[str], list[list[str]]]:
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        size = max(path.stat().st_size, 1)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        header = next(reader, None)
        if not header:
            sys.exit(f"{path.name} has no header")
        rows, seen = [], 0
        for row in reader:
            if len(row) != len(header):
                sys.exit(f"{path.name}, line {reader.line_num}: {len(row)} fields, the header has {len(header)}")
            rows.append(row)
            seen += sum(len(field.encode()) + 1 for field in row)
            if len(rows) % EVERY_ROWS == 0:
                say(min(60, 60 * seen / size), f"read {len(rows)} rows")
    return header, rows


def table(summaries: list[dict]) -> list[str]:
    lines = ["| column | type | values | missing | distinct | range | most frequent |", "|---|---|---:|---:|---:|---|---|"]
    for column in summaries:
        span = f"{column['min']} to {column['max']}" if "min" in column else ""
        frequent = ", ".join(f"{item['value']} ({item['count']})" for item in column["most_frequent"][:3])
        cells = [column["column"], column["type"], column["values"], column["missing"], column["distinct"], span, frequent]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delimiter", default=",")
    parser.add_argument("input")
    arguments = parser.parse_args()
    path = TOOLS / arguments.input
    if not path.is_file():
        sys.exit(f"{path} is not a file")
    try:
        header, rows = read(path, arguments.delimiter)
    except csv.Error as error:
        sys.exit(f"{path.name} is not a CSV file: {error}")
    say(60, f"{len(rows)} rows, {len(header)} columns")
    summaries = []
    for position, name in enumerate(header):
        summaries.append(summarise(name, [row[position] for row in rows]))
        say(60 + 35 * (position + 1) / len(header), f"summarised {name}")
    summary = {"file": path.name, "rows": len(rows), "columns": summaries}
    Path("summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = [f"# {path.name}", "", f"{len(rows)} rows, {len(header)} columns.", "", *table(summaries)]
    Path("summary.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    say(100, f"summarised {len(header)} columns of {len(rows)} rows")


if __name__ == "__main__":
    main()
