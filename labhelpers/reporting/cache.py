"""Decide whether the results of a notebook are outdated, by the digests of all that they depend on.

The cache key of a run holds the notebook's code, its parameters, the lock file, and what its kernel noted that it used
(`labhelpers.usage`): modules of the library, the data set, run records, trained networks, optional and other files.
Prose is not part.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path

from labhelpers import cifar10
from labhelpers.paths import optional_file, project
from labhelpers.reporting import notebooks


def snapshot() -> dict:
    """Return the digests of the lock file, every module, trained network, and experiment's records, as they are now."""
    root, modules, records = project(), {}, defaultdict(list)
    for path in (root / "labhelpers").rglob("*.py"):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        modules[name] = _short_digest(path)
    for path in sorted((root / "data" / "runs").glob("*.json")):
        records[path.stem.rpartition("-seed")[0]].append(path.name.encode() + path.read_bytes())
    return {
        "requirements.lock": _short_digest(root / "requirements.lock"),
        "modules": modules,
        "networks": {path.stem: _short_digest(path) for path in (root / "data" / "networks").glob("*.npz")},
        "records": {id: _short(b"\0".join(contents)) for id, contents in records.items()},
    }


def key(notebook, settings: dict, used: dict | None, data_digest: str, state: dict | None = None) -> dict:
    """Return the cache key of a run with these parameters set from outside, a digest for each part.

    Args:
        used: names of what its kernel used, by kind; None if that is not known.
        state: the `snapshot` before the run, so that an edit during the run makes its results outdated.
    """
    state = state or snapshot()
    parts = {
        "code": _short("\0".join(notebooks.code(notebook)).encode()),
        "parameters": _short(json.dumps(settings, sort_keys=True).encode()),
        "requirements.lock": state["requirements.lock"],
    }
    for kind, names in (used or {}).items():
        if kind in state:
            parts[kind] = {name: state[kind].get(name) for name in names}
        elif kind == "data":
            parts[kind] = dict.fromkeys(names, data_digest[:16])
        elif kind == "figures":
            parts[kind] = {name: _short_digest(project() / "figures" / name) for name in names}
        elif kind == "optional files":
            parts[kind] = {name: _short_digest(optional_file(name)) for name in names}
        else:
            parts[kind] = {name: _short_digest(name) for name in names}
    return parts


def reasons(before: dict, notebook, settings: dict, data_digest: str) -> list[str]:
    """Return why the results of a run with this cache key are outdated; none if they are not."""
    used = {kind: list(digests) for kind, digests in before.items() if isinstance(digests, dict)}
    if "modules" not in used:
        return ["what it uses is not known"]
    changed = []
    for kind, digests in key(notebook, settings, used, data_digest).items():
        if kind not in used:
            changed += [kind] * (before.get(kind) != digests)
        else:
            prefix = "records of " if kind == "records" else ""
            changed += [prefix + name for name in digests if digests[name] != before[kind][name]]
    if len(changed) > 4:
        changed[3:] = [f"{len(changed) - 3} more"]
    return [f"{name} changed" for name in changed]


def outdated(before: dict, notebook) -> list[str]:
    """Return why the results of a run on CIFAR-10 with the notebook's own parameters are outdated."""
    # Without the optional files, which are not part of the project and may be missing on this machine.
    kept = {kind: digests for kind, digests in before.items() if kind != "optional files"}
    return reasons(kept, notebook, {}, cifar10.digest())


def damaged(folder: Path, files: dict[str, str]) -> list[str]:
    """Return a line for each file in `folder` that is missing or no longer has the digest it had after the run."""
    return [
        f"{name} {'changed' if (folder / name).exists() else 'is missing'}"
        for name, sha256 in files.items()
        if digest(folder / name) != sha256
    ]


def page_key(folder: Path) -> str:
    """Return a digest of the page in `folder` and of what it is made of."""
    template = (project() / "labhelpers" / "reporting" / "template").rglob("*.*")
    glossary = project() / "notebooks" / notebooks.GLOSSARY
    paths = [*notebooks.notebook_paths(), glossary, *sorted(template), folder / "index.html"]
    runs = notebooks.read_record(folder)["notebooks"]
    return _short(json.dumps([runs, snapshot(), list(map(digest, paths))], sort_keys=True).encode())


def digest(path) -> str | None:
    """Return the SHA-256 of a file, or None if it can't be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def _short_digest(path):
    sha256 = digest(path) if path else None
    return sha256 and sha256[:16]


def _short(content):
    return hashlib.sha256(content).hexdigest()[:16]
