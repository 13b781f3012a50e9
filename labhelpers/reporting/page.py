"""The report as one page: result, verdicts and, folded, every notebook, in one HTML file that needs no network."""

import base64
import io
import itertools
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from PIL import Image

from labhelpers import weights
from labhelpers.cifar10 import CLASS_NAMES, N_TEST
from labhelpers.errors import LabError
from labhelpers.evaluation import accuracy_interval, percent
from labhelpers.paths import QUICK_FOLDER, atomic_write, project
from labhelpers.reporting import ask, interactive, notebooks
from labhelpers.study import improvements, records, tables, text, verdicts
from labhelpers.study.experiments import experiment

TEMPLATE = Path(__file__).parent / "template"
REHEARSAL = "A rehearsal (--quick), with few images and one epoch: the numbers in sections that train are not results."
STANDIN = (
    "On {}: nothing here is a result on CIFAR-10, except what comes from the records of runs on it: the result at "
    "the top, the claims, and the figures that say so."
)
TITLE = "CIFAR-10 image classification: a lab report, reproduced"
LINK = re.compile(r"\((\d\d_\w+|GLOSSARY)\.(?:ipynb|md)\)")
QUOTED_NAME = re.compile(r"`(\w+)`")
# Figures that are shown before the notebooks; `ORIGINALS` have a number in the original.
TOP = "improvements"
ABOVE = {TOP, "figure1_classes", "figure2_baseline_losses", "figure3_confusion_matrix", "figure4_deeper_losses"}
CLAIMS_OF = {"D": 1, "B1": 2, "B2": 2, "B3": 3, "B4": 3, "L": 4, "A": 4}  # the original's sections, by how ids begin
ORIGINALS = re.compile(r"figure(\d)_")
# What only those need who step through a notebook: see `_for_readers`.
LEFT_OUT = {"exercise", "remove-cell"}
EXERCISES = re.compile(
    r"^(## Your turn\n.*?(?=^## |\Z)|(\*\*You will learn|\*\*Next:|\*\*Back to:|<details>).*)", re.M | re.S
)
# A sign beside each outcome, for readers who can't tell its colour.
SIGNS = dict(zip(verdicts.OUTCOMES, "✓≈↗✗?·", strict=True))


def write(folder: Path) -> Path:
    """Write `index.html` from the notebooks that were executed into `folder`, with their prose as it is now."""
    sections, runs = {}, notebooks.read_record(folder)["notebooks"]
    for path in notebooks.notebook_paths():
        executed = folder / "notebooks" / path.name
        if path.stem in runs and executed.exists():
            source, ran = notebooks.read_source(path), notebooks.read(executed)
            same = notebooks.code(source) == notebooks.code(ran)
            notebook = notebooks.clean(notebooks.with_outputs(source, ran) if same else ran)
            defaults = {name: parameter.default for name, parameter in notebooks.parameters(notebook).items()}
            runs[path.stem]["settings"] = defaults | runs[path.stem]["parameters"]
            sections[path.stem] = _for_readers(notebook)
    runs = {stem: runs[stem] for stem in sections}
    glossary = project() / "notebooks" / notebooks.GLOSSARY
    words = nbformat.v4.new_markdown_cell(glossary.read_text(encoding="utf-8"))
    sections[glossary.stem] = nbformat.v4.new_notebook(cells=[words])
    with atomic_write(folder / "index.html") as temporary:
        temporary.write_text(_render(sections, runs, folder), encoding="utf-8")
    return folder / "index.html"


def _render(sections, runs, folder) -> str:
    judged, faults = verdicts.verdicts()
    for fault in faults:
        print(f"WARNING: {fault}", file=sys.stderr)
    strips = {strip.verdict.claim.id: interactive.strip_chart(strip) for strip in verdicts.strips(judged)}
    figures = _attach_figures(sections, runs, folder)
    numbers = {name: figure["number"] for name, figure in figures.items()}
    exporter = HTMLExporter(template_name="report", extra_template_basedirs=[str(TEMPLATE)], exclude_anchor_links=True)
    rendered, numbered = [], itertools.count(1)
    for stem, notebook in sections.items():
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = _with_references(cell.source, sections, numbers)
        heading, body, contents = _finish(exporter.from_notebook_node(notebook)[0], stem, numbered)
        settings = runs.get(stem, {}).get("parameters", {})
        changed = ", ".join(f"{name} = {value}" for name, value in settings.items())
        section = {"stem": stem, "heading": heading, "body": body, "contents": contents, "changed": changed}
        rendered.append(section)
    table = tables.table(judged).rename(columns={tables.RUN: "run", tables.OURS: "ours", "decided by": "by"})
    table["sign"], table["key"] = table["verdict"].map(SIGNS), table["verdict"].str.replace(" ", "-")
    table["section"] = [next(n for start, n in CLAIMS_OF.items() if id.startswith(start)) for id in table["claim"]]
    steps = improvements.summary(improvements.runs())
    loaded = {run["cifar"]["name"] for run in runs.values() if _loads_data(run)}
    warnings = [STANDIN.format(name) for name in sorted(loaded - {"CIFAR-10"})]
    html = exporter.environment.get_template("page.html.j2").render(
        title=TITLE,
        warnings=warnings + [REHEARSAL] * (folder.name == QUICK_FOLDER) + faults,
        headline=text.headline(judged, steps),
        accuracies=[row | {"sign": SIGNS[row["verdict"]]} for row in text.accuracies(judged)],
        figures=figures,
        about=_about(runs),
        method=text.method(judged),
        reproduced=notebooks.outcomes(run.get("reproduction") for run in runs.values()),
        verdicts=table.to_dict("records"),
        strips=strips,
        sections=rendered,
        networks=_networks(),
        asking=_asking(folder),
    )
    # Links to notebooks that are not on the page.
    return re.sub(r'<a href="#(\d\d_\w+)">(.*?)</a>', lambda link: link[0] if link[1] in sections else link[2], html)


def _networks() -> list[dict[str, str]]:
    """Return what the page says of each network whose weights are included and whose record can be read."""
    rows = []
    for name, (id, seed) in weights.TRAINED.items():
        one = experiment(id)
        for run in records.read_all(one, [seed])[0]:
            accuracy = percent(run.accuracy, accuracy_interval(round(N_TEST * run.accuracy), N_TEST))
            trained = f"{one.n_train:,} images for {one.epochs} epochs"
            rows.append({"name": name, "trained": trained, "parameters": f"{run.parameters:,}", "accuracy": accuracy})
    return rows


def _asking(folder) -> dict | None:
    """Return what the page needs to ask the trained networks; None if their weights can't be read."""
    try:
        asked = [ask.network(name) for name in ask.NETWORKS]
    except LabError:
        return None
    samples = ask.test_images(folder)
    answers = [sample["answers"] for sample in samples if "answers" in sample]
    return {"networks": asked, "samples": samples, "answers": answers, "classes": CLASS_NAMES}


def _loads_data(run) -> bool:
    """Return whether a run loaded the data set, so that its figures are not of run records alone."""
    return "data" in run["key"] or "modules" not in run["key"]


def _for_readers(notebook):
    """Return a notebook without its exercises, cells that show nothing, and those that a tag leaves out."""

    def stays(cell):
        tags = cell.metadata.get("tags", ())
        shows = cell.cell_type == "markdown" or cell.get("outputs") or "show-input" in tags
        return shows and not LEFT_OUT & {*tags}

    notebook.cells = [cell for cell in notebook.cells if stays(cell)]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = EXERCISES.sub("", cell.source)
    return notebook


def _about(runs) -> dict[str, str]:
    """Return what the page says of itself: `date` of the last run, `commit`, and from CITATION.cff what is there."""
    command = ["git", f"--git-dir={project() / '.git'}", f"--work-tree={project()}", "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(command, capture_output=True, check=True, timeout=9).stdout.decode().strip()
    except (OSError, subprocess.SubprocessError):  # no git, or no repository
        commit = ""
    citation = project() / "CITATION.cff"
    told = citation.read_text(encoding="utf-8") if citation.exists() else ""
    found = dict(re.findall(r"^(license|repository-code): *\"?([^\s\"]+)", told, re.M))
    date = max((run["ended"] for run in runs.values()), default="")[:10]
    about = {"date": date, "commit": commit.replace("-dirty", ", changed")}
    return about | {"license": found.get("license", ""), "code": found.get("repository-code", "")}


def _attach_figures(sections, runs, folder) -> dict[str, dict]:
    """Give each output that is a saved figure what the template shows with it; return the figures by name."""
    found: dict[str, tuple] = {}
    for stem, notebook in sections.items():
        for cell in notebook.cells:
            if "outputs" in cell:  # the template writes the captions
                cell.outputs = [output for output in cell.outputs if not notebooks.noted(output, "caption_of")]
        for output in notebooks.outputs(notebook):
            name = notebooks.noted(output, "figure")
            if name and (folder / "figures" / f"{name}.png").exists():
                found.setdefault(name, (stem, output))
    ours = sorted((name for name in found if not ORIGINALS.match(name)), key=lambda name: name != TOP)
    figures = {}
    for name, (stem, output) in found.items():
        theirs = ORIGINALS.match(name)
        number = theirs[1] if theirs else f"S{1 + ours.index(name)}"
        about = {"number": number, "provenance": _provenance(stem, name, runs[stem]), "above": name in ABOVE}
        output.metadata["page"] = figures[name] = _figure(name, folder, runs[stem]) | about
    return figures


def _figure(name, folder, run) -> dict:
    """Return a figure as it was saved, with its caption, its numbers and what makes it interactive."""
    png, csv = ((folder / "figures" / f"{name}.{ending}").read_bytes() for ending in ("png", "csv"))
    webp = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        words, (width, height) = image.info, image.size
        image.convert("RGB").save(webp, "WEBP", lossless=True, method=2)  # less than half the size
    numbers = pd.read_csv(io.BytesIO(csv)) if csv.strip() else pd.DataFrame()
    examples = folder / "examples" / f"{name}.csv"
    of_cifar = run["cifar"]["name"] == "CIFAR-10"
    is_matrix = examples.exists() and {"true", "predicted", "images"} <= set(numbers.columns)
    return {
        "name": name,
        "caption": words.get("caption", name),
        "alt": words.get("alt", name),
        "webp": base64.b64encode(webp.getvalue()).decode(),
        "width": width,
        "height": height,
        "csv": base64.b64encode(csv).decode(),
        "matrix": interactive.matrix(numbers, examples, of_cifar) if is_matrix else None,
    }


def _provenance(stem, name, run) -> str:
    """Return where a figure comes from, and whether it was reproduced: its notebook, parameters, data, the versions."""
    settings = ", ".join(f"{name} = {value!r}" for name, value in run["settings"].items())
    cifar, versions, compared = run["cifar"], run["versions"], run.get("reproduction")
    data = f"{cifar['name']} {cifar['digest'][:8]}" if _loads_data(run) else "records of runs on CIFAR-10"
    parts = [f"{stem}.ipynb", settings, data, f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}"]
    if compared:
        outcomes = {part["name"]: part["outcome"] for part in compared["parts"] if "name" in part}
        parts.append(f"compared with the committed report: {outcomes.get(name, compared['outcome'])}")
    return "; ".join(filter(None, parts))


def _with_references(source, sections, numbers) -> str:
    """Turn links to notebooks and the glossary, and names of figures, into links within the page."""
    source = LINK.sub(lambda link: f"(#{link[1] if link[1] in sections else ''})", source)
    return QUOTED_NAME.sub(
        lambda name: f"[Figure {numbers[name[1]]}](#figure-{name[1]})" if name[1] in numbers else name[0], source
    )


def _finish(body, stem, numbered) -> tuple[str, str, list[dict]]:
    """Move a section's headings down two levels, give them ids, number its tables and put them in boxes that can scroll.

    Returns the HTML of the first heading, that of the rest, and the headings for the table of contents: `id`, `level` and
    `title`.
    """
    soup = BeautifulSoup(body, "html.parser")
    contents: list[dict] = []
    for element in soup.find_all(["h1", "h2", "h3", "h4", "h5", "table"]):
        if element.name == "table":
            number, caption = f"Table S{next(numbered)}", soup.new_tag("caption")
            caption.append(f"{number}. {contents[-1]['title'] if contents else stem}")
            element.insert(0, caption)
            element.wrap(
                soup.new_tag("div", attrs={"class": "scroll", "role": "group", "tabindex": "0", "aria-label": number})
            )
            continue
        level = int(element.name[1]) + 2
        id = f"{stem}-{len(contents)}" if contents else stem
        element.name, element.attrs = f"h{level}", {"id": id}
        contents.append({"id": id, "level": level, "title": element.get_text()})
    for header in soup.find_all("th"):
        if not header.get_text(strip=True):
            header.name = "td"  # pandas heads the column of names with nothing
    for coloured in soup.select("pre span[style]"):
        del coloured["style"]  # Keras's colours suit a terminal, and here they are too pale
    heading = soup.find(id=stem)
    return str(heading.extract()) if heading else stem, str(soup), contents
