"""Draws the dependency graph of a Cargo workspace as one self-contained HTML page.

Reads its parameters as one JSON object from standard input and the workspace from its Cargo.toml files; nothing is
built and no network is used. Writes `graph.html` and `graph.json` into the current folder. Needs Python 3.11 (for
tomllib) and nothing else.
"""

import json
import sys
from html import escape
from pathlib import Path

try:
    import tomllib
except ImportError:
    sys.exit(f"Python 3.11 or newer is needed to read TOML; this is {sys.version.split()[0]}")

TOOLS = Path(__file__).resolve().parent
KINDS = {"dependencies": "normal", "build-dependencies": "build", "dev-dependencies": "dev"}
BOX, GAP, ROW, MARGIN = 200, 24, 110, 30

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }}
svg {{ max-width: 100%; height: auto }}
rect {{ fill: #eef3f8; stroke: #456; rx: 6 }}
text {{ font: 13px system-ui, sans-serif; text-anchor: middle; fill: #123 }}
path {{ fill: none; stroke: #678; marker-end: url(#tip) }}
path.dev {{ stroke: #b96; stroke-dasharray: 5 4 }}
path.build {{ stroke: #6a6 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #181a1c }} rect {{ fill: #26313c }} text {{ fill: #def }} }}
</style></head><body><h1>{title}</h1><p>{summary}</p>
{svg}
<p>An arrow points from a crate to what it uses. Dashed: tests only. Green: build scripts.</p></body></html>
"""


def say(progress: float, message: str) -> None:
    """One progress update."""
    print(json.dumps({"progress": round(progress, 1), "message": message}), flush=True)


def load(path: Path) -> dict:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        sys.exit(f"{path}: {error}")


def member_folders(root: Path, workspace: dict) -> list[Path]:
    excluded = {(root / path).resolve() for path in workspace.get("exclude", [])}
    found = {path.resolve() for pattern in workspace.get("members", []) for path in root.glob(pattern)}
    return sorted(path for path in found - excluded if (path / "Cargo.toml").is_file())


def dependencies(manifest: dict):
    """Every (kind, name of the package) of a manifest, those of single targets included."""
    tables = [manifest, *manifest.get("target", {}).values()]
    for table in tables:
        for key, kind in KINDS.items():
            for name, spec in table.get(key, {}).items():
                yield kind, spec.get("package", name) if isinstance(spec, dict) else name


def layers(names: list[str], edges: list[dict]) -> dict[str, int]:
    """How far each crate is above those that use nothing. Tests may point in circles, so they do not count."""
    uses = {name: {edge["to"] for edge in edges if edge["from"] == name and edge["kind"] != "dev"} for name in names}
    depth: dict[str, int] = {}
    while len(depth) < len(names):
        ready = [name for name in names if name not in depth and uses[name] <= depth.keys()]
        if not ready:
            sys.exit("the crates depend on each other in a circle: " + ", ".join(sorted(set(names) - depth.keys())))
        for name in ready:
            depth[name] = 1 + max((depth[used] for used in uses[name]), default=-1)
    return depth


def draw(names: list[str], edges: list[dict], depth: dict[str, int]) -> str:
    rows = [[name for name in names if depth[name] == level] for level in range(max(depth.values()) + 1)]
    width = max(len(row) for row in rows) * (BOX + GAP) + 2 * MARGIN
    height = len(rows) * ROW + 2 * MARGIN
    place = {}
    for level, row in enumerate(rows):
        start = (width - len(row) * (BOX + GAP) + GAP) / 2
        for column, name in enumerate(row):
            place[name] = (start + column * (BOX + GAP), height - MARGIN - (level + 1) * ROW + 30)
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="dependency graph">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" style="fill:#678;stroke:none;marker-end:none"/></marker></defs>',
    ]
    for edge in edges:
        (x1, y1), (x2, y2) = place[edge["from"]], place[edge["to"]]
        x1, x2, y1 = x1 + BOX / 2, x2 + BOX / 2, y1 + 40
        title = escape(f"{edge['from']} uses {edge['to']} ({edge['kind']})")
        parts.append(
            f'<path class="{edge["kind"]}" d="M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + 40:.0f} {x2:.0f} {y2 - 40:.0f} {x2:.0f} {y2:.0f}">'
            f"<title>{title}</title></path>"
        )
    for name, (x, y) in place.items():
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX}" height="40"/>')
        parts.append(f'<text x="{x + BOX / 2:.0f}" y="{y + 25:.0f}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"])


def main() -> None:
    params = json.load(sys.stdin)
    root = (TOOLS / params["workspace"]).resolve()
    workspace = load(root / "Cargo.toml").get("workspace")
    if workspace is None:
        sys.exit(f"{root / 'Cargo.toml'} is no workspace")
    folders = member_folders(root, workspace)
    manifests = {}
    for number, folder in enumerate(folders, start=1):
        manifest = load(folder / "Cargo.toml")
        manifests[manifest["package"]["name"]] = manifest
        say(70 * number / len(folders), f"read {folder.relative_to(root)}")
    if not manifests:
        sys.exit(f"{root} has no members")

    names = sorted(manifests)
    found = {
        (name, used, kind)
        for name, manifest in manifests.items()
        for kind, used in dependencies(manifest)
        if used in manifests and used != name and (kind != "dev" or params["dev_dependencies"])
    }
    edges = [{"from": name, "to": used, "kind": kind} for name, used, kind in sorted(found)]
    for name in names:
        print(f"{name} uses {', '.join(e['to'] for e in edges if e['from'] == name) or 'no other member'}", flush=True)

    say(80, "drawing")
    depth = layers(names, edges)
    summary = f"{len(names)} crates, {len(edges)} dependencies between them, {max(depth.values()) + 1} layers."
    title = f"Dependencies in {root.name}"
    page = PAGE.format(title=escape(title), summary=escape(summary), svg=draw(names, edges, depth))
    Path("graph.html").write_text(page, encoding="utf-8")
    graph = {"crates": [{"name": name, "layer": depth[name]} for name in names], "dependencies": edges}
    Path("graph.json").write_text(json.dumps(graph, indent=1) + "\n", encoding="utf-8")
    say(100, summary)


if __name__ == "__main__":
    main()
