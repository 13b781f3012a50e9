"""The report as one page: every executed notebook, in order, in one HTML file that needs no network."""

import re
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from labhelpers.errors import LabError
from labhelpers.paths import atomic_write
from labhelpers.reporting import notebooks

TEMPLATE = Path(__file__).parent / "template"
LINK = re.compile(r"\((\d\d_\w+)\.ipynb\)")
TITLE = "CIFAR-10 image classification: a lab report, executed again"


def write(folder: Path) -> Path:
    """Write `index.html` from the notebooks that were executed into `folder`, prose as it is now.

    Raises:
        LabError: none was executed yet.
    """
    sections = []
    for path in notebooks.notebook_paths():
        executed = folder / "notebooks" / path.name
        if executed.exists():
            source, ran = notebooks.read(path), notebooks.read(executed)
            same = notebooks.code(source) == notebooks.code(ran)
            sections.append((path.stem, notebooks.with_outputs(source, ran) if same else ran))
    if not sections:
        raise LabError(f"no notebook was executed into {folder} yet: run lab report")
    with atomic_write(folder / "index.html") as temporary:
        temporary.write_text(_render(sections, _header(folder, sections)), encoding="utf-8")
    return folder / "index.html"


def _header(folder, sections) -> str:
    """Return the page's first lines: what it is, of which data and settings, and where each section is."""
    runs = notebooks.read_runs(folder)
    lines = [f"# {TITLE}", ""]
    loading = [
        stem
        for stem, notebook in sections
        if notebooks.loads_data(notebook, runs.get(stem, {}).get("parameters", {}))
    ]
    for name in dict.fromkeys(runs[stem]["cifar"]["name"] for stem in loading if stem in runs):
        lines.append(f"On {name}." if name == "CIFAR-10" else _standin_line(name, loading, sections))
    lines.append("")
    for stem, notebook in sections:
        run = runs.get(stem, {})
        title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
        changed = ", ".join(f"{name} = {value}" for name, value in run.get("parameters", {}).items())
        lines.append(f"- [{title}](#{stem}){f' **with other settings: {changed}**' if changed else ''}")
    return "\n".join(lines)


def _standin_line(name, loading, sections) -> str:
    reading = [stem[:2] for stem, _ in sections if stem not in loading]
    records = f" Only {' and '.join(reading)} read records of runs on CIFAR-10." if reading else ""
    return f"**On {name}: nothing here is a result on CIFAR-10.**{records}"


def _render(sections, header) -> str:
    whole = nbformat.v4.new_notebook(metadata=sections[0][1].metadata)
    whole.cells.append(nbformat.v4.new_markdown_cell(header, id="header"))
    stems = {stem for stem, _ in sections}
    for stem, notebook in sections:
        whole.cells.append(nbformat.v4.new_markdown_cell(f'<a id="{stem}"></a>', id=f"to-{stem}"))
        for cell in notebooks.clean(notebook).cells:
            if cell.cell_type == "markdown":
                cell.source = LINK.sub(lambda link: f"(#{link[1] if link[1] in stems else ''})", cell.source)
            whole.cells.append(cell)
    exporter = HTMLExporter(
        template_name="report",
        extra_template_basedirs=[str(TEMPLATE)],
        exclude_anchor_links=True,
    )
    html, _ = exporter.from_notebook_node(whole, resources={"metadata": {"name": TITLE}})
    return html
