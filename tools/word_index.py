"""Builds a term index over a folder of text documents.

Reads its parameters as one JSON object from standard input; writes `index.json` (term -> document -> occurrences) and
`report.md` (the terms that characterise the collection and each document) into the current folder. Needs Python 3.9
and nothing else.
"""

import json
import math
import re
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
MAX_BYTES = 16 * 1024 * 1024
COMMON = frozenset(
    "a about after all also an and any are as at be because been before being both but by can could did do does down each "
    "few for from had has have he her here his how i if in into is it its may more most no nor not now of off on once one "
    "only or other our out over own same she should so some such than that the their them then there these they this "
    "those through to too two under until up was we were what when where which while who why will with would you".split()
)


def say(progress: float, message: str) -> None:
    """One progress update."""
    print(json.dumps({"progress": round(progress, 1), "message": message}), flush=True)


def terms(text: str, min_length: int) -> list[str]:
    words = (word.casefold() for word in WORD.findall(text))
    return [word for word in words if len(word) >= min_length and word not in COMMON]


def read(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        sys.exit(f"{path.name}: {size} bytes, at most {MAX_BYTES}")
    return path.read_text(encoding="utf-8", errors="replace")


def characteristic(counts: Counter, documents: dict[str, Counter], occurs_in: Counter, top: int) -> list[tuple[str, float]]:
    """The terms of one document by tf-idf: frequent here and rare elsewhere."""
    total = sum(counts.values())
    score = {
        term: count / total * math.log((1 + len(documents)) / (1 + occurs_in[term])) for term, count in counts.items()
    }
    return sorted(score.items(), key=lambda item: (-item[1], item[0]))[:top]


def main() -> None:
    params = json.load(sys.stdin)
    folder = TOOLS / params["input"]
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".md", ".txt") and path.is_file())
    if not paths:
        sys.exit(f"no .md or .txt files in {folder}")

    documents: dict[str, Counter] = {}
    for number, path in enumerate(paths, start=1):
        name = path.relative_to(folder).as_posix()
        documents[name] = Counter(terms(read(path), params["min_length"]))
        print(f"{name}: {sum(documents[name].values())} words, {len(documents[name])} terms", flush=True)
        say(90 * number / len(paths), f"read {number} of {len(paths)} documents")
        time.sleep(params["pace_ms"] / 1000)

    say(92, "building the index")
    index: dict[str, dict[str, int]] = defaultdict(dict)
    for name, counts in documents.items():
        for term, count in counts.items():
            index[term][name] = count
    occurs_in = Counter({term: len(places) for term, places in index.items()})
    overall = sum(documents.values(), Counter())

    with open("index.json", "w", encoding="utf-8") as file:
        json.dump({"documents": len(documents), "terms": dict(sorted(index.items()))}, file, ensure_ascii=False, indent=1)

    say(97, "writing the report")
    lines = [f"# Term index of {len(documents)} documents", ""]
    lines += [f"{sum(overall.values())} words, {len(index)} terms.", "", "| term | occurrences | documents |", "|---|---:|---:|"]
    for term, count in sorted(overall.items(), key=lambda item: (-item[1], item[0]))[: params["top"]]:
        lines.append(f"| {term} | {count} | {occurs_in[term]} |")
    lines += ["", "## What each document is about", ""]
    for name, counts in documents.items():
        about = ", ".join(term for term, _ in characteristic(counts, documents, occurs_in, 6))
        lines.append(f"- **{name}**: {about}")
    Path("report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    say(100, f"indexed {len(index)} terms in {len(documents)} documents")


if __name__ == "__main__":
    main()
