"""When are results outdated? What the results of a notebook depend on, digest by digest, so that nothing is made twice.

The key of a run has its code, parameters and lock file, and what its kernel noted that it used (`labhelpers.usage`):
modules of the library, the data set, records, human labels, other files. Prose is not part of it.
"""

import hashlib
import json
from pathlib import Path

from labhelpers import cifar10
from labhelpers.paths import project
from labhelpers.reporting import notebooks
from labhelpers.study import human_labels
from labhelpers.study.experiments import EXPERIMENTS
from labhelpers.study.records import runs_dir

PAGE = (".py", ".j2", ".js", ".css", ".json")  # endings of the files that make the page


def key(notebook, settings: dict, used: dict | None, data_digest: str) -> dict:
    """Return what the results of a notebook depend on, as it is now.

    Args:
        notebook: with its code.
        settings: parameters that are set from outside, by name.
        used: what its kernel noted; None if there are no notes.
        data_digest: of the data set that is available.
    """
    parts = {
        "code": _short("\0".join(notebooks.code(notebook)).encode()),
        "parameters": _short(json.dumps(settings, sort_keys=True).encode()),
        "requirements.lock": _short((project() / "requirements.lock").read_bytes()),
    }
    if used is None:
        return parts
    digests = DIGESTS | {"data": lambda name: data_digest[:16]}
    return parts | {kind: {name: digests[kind](name) for name in names} for kind, names in used.items()}


def before_run(notebook, settings: dict, data_digest: str) -> dict:
    """Return the key as if the notebook used every module and every experiment's records.

    `after_run` takes digests from it, so that an edit during the run makes the results outdated.
    """
    modules = [
        ".".join(path.relative_to(project()).with_suffix("").parts).removesuffix(".__init__")
        for path in (project() / "labhelpers").rglob("*.py")
    ]
    used = {"modules": modules, "records": [one.id for one in EXPERIMENTS]}
    return key(notebook, settings, used, data_digest)


def after_run(before: dict, notebook, settings: dict, used: dict | None, data_digest: str) -> dict:
    """Return the key of a run, by what its kernel noted."""
    after = key(notebook, settings, used, data_digest)
    return {
        kind: {name: before[kind].get(name) for name in value}
        if kind in ("modules", "records")
        else before.get(kind, value)
        for kind, value in after.items()
    }


def reasons(run: dict, notebook, settings: dict, data_digest: str) -> list[str]:
    """Return why the results of a run are not those that the notebook would give now; none if they are."""
    before = run["key"]
    used = {kind: list(names) for kind, names in before.items() if isinstance(names, dict)}
    if "modules" not in used or not set(used) <= set(DIGESTS):
        return ["what it uses is not known"]
    now, changed = key(notebook, settings, used, data_digest), []
    for kind, value in now.items():
        if kind not in used:
            changed += [kind] * (before.get(kind) != value)
        else:
            names = [name for name in value if value[name] != before[kind][name]]
            changed += [f"records of {name}" if kind == "records" else name for name in names]
    more = [f"{len(changed) - 3} more"] if len(changed) > 4 else []
    return [f"{name} changed" for name in (changed[:3] + more if more else changed)]


def damaged(folder: Path, files: dict[str, str]) -> list[str]:
    """Return in words which of the files that a run made in `folder` are not as it left them."""
    now = {name: digest(folder / name) for name in files}
    return [
        f"{name} {'changed' if now[name] else 'is missing'}"
        for name, was in files.items()
        if now[name] != was
    ]


def digest(path: Path) -> str | None:
    """Return the SHA-256 of a file, or None if it can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def outdated(run: dict, notebook) -> list[str]:
    """Return why the results of a run are not those that the notebook would give now on CIFAR-10.

    Whether the human labels are where they are found now does not matter: their file is not part of the project.
    """
    held = {kind: names for kind, names in run.get("key", {}).items() if kind != "human labels"}
    return reasons({"key": held}, notebook, {}, cifar10.digest())


def lacks_human_labels(run: dict) -> bool:
    """Return whether a run looked for the human labels of each image and did not find them."""
    return None in run["key"].get("human labels", {}).values()


def of_page(folder: Path) -> dict[str, str]:
    """Return what the page in `folder` depends on, and its own digest."""
    root = project()
    parts = [
        json.dumps(notebooks.read_runs(folder), sort_keys=True).encode(),
        *(path.read_bytes() for path in notebooks.notebook_paths()),
        *(path.read_bytes() for path in sorted((root / "labhelpers").rglob("*")) if path.suffix in PAGE),
        *(path.read_bytes() for path in sorted(runs_dir().glob("*.json"))),
    ]
    return {"made_of": _short(b"\0".join(map(_sha256, parts))), "index.html": digest(folder / "index.html")}


def _module(name):
    path = project().joinpath(*name.split("."))
    return _file(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


def _records(id):
    paths = sorted(runs_dir().glob(f"{id}-seed*.json"))
    return _short(b"\0".join(_sha256(path.name.encode() + path.read_bytes()) for path in paths))


def _file(path):
    found = digest(Path(path)) if path else None
    return found and found[:16]


def _sha256(content):
    return hashlib.sha256(content).digest()


def _short(content):
    return hashlib.sha256(content).hexdigest()[:16]


# What gives the digest of each kind of thing that a kernel notes; that of the data is known to the caller.
DIGESTS = {
    "modules": _module,
    "data": None,
    "records": _records,
    "human labels": lambda name: _file(human_labels.counts_path()),
    "files": _file,
}
