"""The report as one page: abstract, verdicts, and every executed notebook, in one HTML file that needs no network."""

import base64
import html
import io
import re
import sys
from pathlib import Path

import pandas as pd
from nbconvert import HTMLExporter

from labhelpers.errors import LabError
from labhelpers.paths import QUICK_FOLDER, atomic_write
from labhelpers.reporting import answers, captions, findings, notebooks
from labhelpers.study import claims

TEMPLATE = Path(__file__).parent / "template"
REHEARSAL = (
    "A rehearsal (--quick), with few images and one epoch: the numbers of sections that train are no results."
)
TITLE = "CIFAR-10 image classification: a lab report, executed again"
LINK = re.compile(r"\((\d\d_\w+)\.ipynb\)")
NAMED = re.compile(r"`(\w+)`")
# What a section's HTML is gone through for, in order.
LANDMARKS = re.compile(r"<h(?P<level>[1-5])\b[^>]*>(?P<title>.*?)</h(?P=level)>|<table\b|</table>", re.DOTALL)


def write(folder: Path) -> Path:
    """Write `index.html` from the notebooks that were executed into `folder`, prose as it is now.

    Raises:
        LabError: none was executed yet.
    """
    sections = {}
    for path in notebooks.notebook_paths():
        executed = folder / "notebooks" / path.name
        if executed.exists():
            source, ran = notebooks.read(path), notebooks.read(executed)
            same = notebooks.code(source) == notebooks.code(ran)
            sections[path.stem] = notebooks.clean(notebooks.with_outputs(source, ran) if same else ran)
    if not sections:
        raise LabError(f"no notebook was executed into {folder} yet: run lab report")
    with atomic_write(folder / "index.html") as temporary:
        temporary.write_text(_render(sections, folder), encoding="utf-8")
    return folder / "index.html"


def _render(sections, folder) -> str:
    runs = notebooks.read_runs(folder)
    verdicts, faults = claims.verdicts()
    for fault in faults:
        print(f"WARNING: {fault}", file=sys.stderr)
    numbers = _attach_figures(sections, runs, folder, verdicts)
    exporter = HTMLExporter(
        template_name="report", extra_template_basedirs=[str(TEMPLATE)], exclude_anchor_links=True
    )
    rendered = []
    for stem, notebook in sections.items():
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = _with_references(cell.source, sections, numbers)
        body, contents = _finish(exporter.from_notebook_node(notebook)[0], stem)
        settings = runs.get(stem, {}).get("parameters", {})
        changed = ", ".join(f"{name} = {value}" for name, value in settings.items())
        rendered.append({"stem": stem, "body": body, "contents": contents, "changed": changed})
    return exporter.environment.get_template("page.html.j2").render(
        title=TITLE,
        warnings=_warnings(sections, runs) + [REHEARSAL] * (folder.name == QUICK_FOLDER) + faults,
        abstract=findings.abstract(verdicts),
        verdicts=findings.rows(verdicts),
        shown=[strip["claim"] for strip in answers.strips(verdicts)] if "verdicts" in numbers else [],
        sections=rendered,
    )


def _warnings(sections, runs) -> list[str]:
    """Return a line for each other data set than CIFAR-10 that a section was run on."""
    loading = [
        stem
        for stem, notebook in sections.items()
        if notebooks.loads_data(notebook, runs.get(stem, {}).get("parameters", {}))
    ]
    names = dict.fromkeys(runs[stem]["cifar"]["name"] for stem in loading if stem in runs)
    return [_standin_line(name, loading, sections) for name in names if name != "CIFAR-10"]


def _standin_line(name, loading, sections) -> str:
    reading = [
        stem[:2]
        for stem, notebook in sections.items()
        if stem not in loading or "TRAIN_LIVE" in notebooks.parameters(notebook)
    ]
    also = ["the abstract", "the table of verdicts", *reading]
    return f"On {name}: nothing here is a result on CIFAR-10. Only {findings.listed(also)} read records of runs on CIFAR-10."


def _attach_figures(sections, runs, folder, verdicts) -> dict[str, int]:
    """Give each output that is a saved figure what the template shows with it; return the figures' numbers."""
    numbers = {}
    for stem, notebook in sections.items():
        provenance = _provenance(notebook, stem, runs.get(stem))
        for cell in notebook.cells:
            drawn = [out for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
            for name, output in zip(notebooks.expected_figures_of(cell), drawn, strict=False):
                numbers[name] = len(numbers) + 1
                figure = _figure(name, output, folder, runs.get(stem)) | {
                    "number": numbers[name],
                    "provenance": provenance,
                }
                if name == "verdicts":
                    figure["strips"] = answers.strips(verdicts)
                output.metadata["figure"] = figure
    return numbers


def _figure(name, output, folder, run) -> dict:
    """Return a figure as it was saved, in words, and with its numbers; the notebook's own where it wasn't."""
    caption, saved = captions.of(name), folder / "figures" / f"{name}.png"
    table = saved.with_suffix(".csv")
    csv = table.read_bytes() if table.exists() else b""
    numbers = pd.read_csv(io.BytesIO(csv)) if csv else pd.DataFrame()
    examples = folder / "examples" / table.name
    answering = examples.exists() and {"true", "predicted", "images"} <= set(numbers.columns)
    of_cifar = run is not None and run["cifar"]["name"] == "CIFAR-10"
    png = saved.read_bytes() if saved.exists() else base64.b64decode(output.data["image/png"])
    return {
        "name": name,
        "caption": caption.text,
        "alt": caption.alt(numbers),
        "png": base64.b64encode(png).decode(),
        "width": int.from_bytes(png[16:20]),
        "height": int.from_bytes(png[20:24]),
        "csv": base64.b64encode(csv).decode(),
        "matrix": answers.matrix(numbers, examples, of_cifar) if answering else None,
    }


def _provenance(notebook, stem, run) -> str:
    """Return where a notebook's figures come from: its parameters, its data, the versions, the time it took."""
    if run is None:
        return f"{stem}.ipynb"
    declared = {name: parameter.default for name, parameter in notebooks.parameters(notebook).items()}
    settings = ", ".join(f"{name} = {value}" for name, value in (declared | run["parameters"]).items())
    cifar, versions = run["cifar"], run["versions"]
    loads = notebooks.loads_data(notebook, run["parameters"])
    return (
        f"{stem}.ipynb with {settings or 'no parameters'}; "
        f"{cifar['name'] + ' ' + cifar['digest'][:8] if loads else 'records of runs on CIFAR-10'}; "
        f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}; {run['seconds']:.0f} s, ended {run['ended']}"
    )


def _with_references(source, sections, numbers) -> str:
    """Turn links to notebooks into links to their sections, and names of figures into links to the figures."""
    source = LINK.sub(lambda link: f"(#{link[1] if link[1] in sections else ''})", source)
    return NAMED.sub(
        lambda name: f"[Figure {numbers[name[1]]}](#figure-{name[1]})" if name[1] in numbers else name[0],
        source,
    )


def _finish(body, stem) -> tuple[str, list[dict]]:
    """Fit a section into the page: its headings a level down and with ids of their own, its tables in boxes.

    Returns:
        The section's HTML, and its headings for the table of contents: `id`, `level` and `title`.
    """
    contents = []

    def fitted(found):
        if found["level"]:
            level, title = int(found["level"]) + 1, found["title"]
            name = f"{stem}-{len(contents)}" if contents else stem
            contents.append({"id": name, "level": level, "title": re.sub(r"<[^>]+>", "", title)})
            return f'<h{level} id="{name}">{title}</h{level}>'
        if found[0] == "</table>":
            return "</table></div>"
        label = html.escape(html.unescape(contents[-1]["title"] if contents else stem))
        return f'<div class="scroll" role="region" tabindex="0" aria-label="Table: {label}">{found[0]}'

    return LANDMARKS.sub(fitted, body), contents
