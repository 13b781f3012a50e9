"""What the notebooks' results and the page depend on, digest by digest, so that nothing is made twice."""

import hashlib
import json
from pathlib import Path

from labhelpers.paths import project
from labhelpers.reporting import notebooks
from labhelpers.study import people
from labhelpers.study.records import runs_dir


def of_notebook(notebook, settings: dict, data_digest: str) -> dict[str, str]:
    """Return what the results of a notebook depend on; prose is not among it.

    Data and records count only for a notebook that uses them.
    """
    code = "\0".join(notebooks.code(notebook))
    loads_data, reads_records = notebooks.loads_data(notebook, settings), "labhelpers.study" in code
    root = project()
    parts = {
        "code": code.encode(),
        "parameters": json.dumps([settings, _named_files(settings)], sort_keys=True).encode(),
        "labhelpers": _content(path for path in _library(root) if "reporting" not in path.parts),
        "data": data_digest.encode() if loads_data else b"",
        "records": _content(runs_dir().glob("*.json")) if reads_records else b"",
        "answers": _answers() if "people.counts" in code else b"",
        "lock": (root / "requirements.lock").read_bytes(),
    }
    return {name: _short(content) for name, content in parts.items()}


def reasons(folder: Path, stem: str, fingerprint: dict[str, str]) -> list[str]:
    """Return why the results of a notebook in `folder` are not those it would give now; none if they are."""
    run = notebooks.read_runs(folder).get(stem)
    if run is None:
        return ["never ran to its end here"]
    changed = [name for name in fingerprint if run["fingerprint"].get(name) != fingerprint[name]]
    return [f"{name} changed" for name in changed] + _damaged(folder, run["files"])


def lacks_answers(notebook, run: dict) -> bool:
    """Whether a notebook that shows what people answered to each image was run without these answers."""
    asks = any("people.counts" in source for source in notebooks.code(notebook))
    return asks and run["fingerprint"].get("answers") == _short(b"")


def is_intact(folder: Path, run: dict) -> bool:
    """Whether the files that a run made are still as it left them."""
    return not _damaged(folder, run["files"])


def digest(path: Path) -> str | None:
    """Return the SHA-256 of a file, or nothing if it can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def of_page(folder: Path) -> dict[str, str]:
    """Return what the page in `folder` depends on, and its own digest."""
    root = project()
    parts = [
        json.dumps(notebooks.read_runs(folder), sort_keys=True).encode(),
        _content(notebooks.notebook_paths()),
        _content(_library(root)),
        _content(path for path in (root / "labhelpers/reporting/template").rglob("*") if path.is_file()),
        _content(runs_dir().glob("*.json")),
    ]
    made_of = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    return {"made_of": made_of, "index.html": digest(folder / "index.html")}


def _named_files(settings):
    """Return the digests of what parameters name, such as a picture of one's own, or nothing where they name none."""
    return [digest(Path(value)) for value in settings.values() if isinstance(value, str)]


def _answers():
    path = people.counts_path()
    return path.read_bytes() if path else b""


def _short(content):
    return hashlib.sha256(content).hexdigest()[:16]


def _library(root):
    return (root / "labhelpers").rglob("*.py")


def _content(paths):
    return b"\0".join(path.read_bytes() for path in sorted(paths))


def _damaged(folder, files):
    """Return in words which of these files are not as they were."""
    now = {name: digest(folder / name) for name in files}
    return [
        f"{name} {'changed' if now[name] else 'is missing'}"
        for name, was in files.items()
        if now[name] != was
    ]
