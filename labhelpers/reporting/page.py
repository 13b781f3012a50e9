"""The report as one page: every executed notebook, in order, in one HTML file that needs no network."""

from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from labhelpers.errors import LabError
from labhelpers.paths import atomic_write
from labhelpers.reporting import notebooks

TEMPLATE = Path(__file__).parent / "template"
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
        temporary.write_text(_render(sections), encoding="utf-8")
    return folder / "index.html"


def _render(sections) -> str:
    whole = nbformat.v4.new_notebook(metadata=sections[0][1].metadata)
    links = {f"{stem}.ipynb": f"#{stem}" for stem, _ in sections}
    for stem, notebook in sections:
        whole.cells.append(nbformat.v4.new_markdown_cell(f'<a id="{stem}"></a>', id=f"to-{stem}"))
        for cell in notebooks.clean(notebook).cells:
            if cell.cell_type == "markdown":
                for file, anchor in links.items():
                    cell.source = cell.source.replace(f"({file})", f"({anchor})")
            whole.cells.append(cell)
    exporter = HTMLExporter(
        template_name="report",
        extra_template_basedirs=[str(TEMPLATE)],
        embed_images=True,
        exclude_anchor_links=True,
    )
    html, _ = exporter.from_notebook_node(whole, resources={"metadata": {"name": TITLE}})
    return html
