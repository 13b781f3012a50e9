"""The notebooks in the folder: their structure, and that they run under nbval, papermill and `lab report`."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import chromium
import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import replace
from PIL import Image
from test_faults import wait_for

from labhelpers import data, models
from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.errors import LabError
from labhelpers.pictures import read_image
from labhelpers.reporting import ask as asking
from labhelpers.reporting import notebooks, pdf, publish

ROOT = Path(__file__).parents[1]
PATHS = notebooks.notebook_paths()
AXE = ROOT / ".axe/axe_playwright_python/axe.min.js"


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    return notebooks.read(request.param)


def run(*arguments, cwd=ROOT, **variables):
    as_typed = os.environ | {"LAB_DATA": os.environ.get("LAB_DATA") or "standin"}
    # Threads that wait for one another lose much of their time where tests run beside them.
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    as_typed.setdefault("LAB_THREADS", str(max(1, os.cpu_count() // workers)))
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=cwd,
        env=as_typed | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        check=False,
    )


def test_names_are_numbered_without_gaps():
    numbers = [f"{number:02}_" for number in range(1, len(PATHS) + 1)]
    assert [path.stem[:3] for path in PATHS] == numbers, "number the notebooks 01, 02, … without gaps"


def test_readme_lists_every_notebook():
    listed = re.findall(r"^\d\. \[.+?\]\(notebooks/(\w+)\.ipynb\)$", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert listed == [path.stem for path in PATHS], "list each notebook in README.md under 'Step through it'"


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("2", True),
        ("02", True),
        ("02_baseline", True),
        ("../notebooks/02_baseline.ipynb", True),
        ("02_baseline.ipynb", False),  # the copy that is here
        ("notebooks/02_baseline.ipynb", False),  # it is not there, as seen from here
    ],
)
def test_number_stem_or_path_selects_only_a_notebook_of_the_project(name, chosen, tmp_path, monkeypatch, tells):
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    (tmp_path / "copies").mkdir()
    shutil.copy(ROOT / "notebooks/02_baseline.ipynb", tmp_path / "copies")
    monkeypatch.chdir(tmp_path / "copies")
    if chosen:
        assert [path.stem for path in notebooks.select(["07", name])] == ["02_baseline", "07_verdicts"]
    else:
        with tells(LabError, f"the project's notebooks, and {name} is not in their folder", "papermill"):
            notebooks.select([name])


FORMATS = {
    "no ids": lambda notebook: [cell.pop("id") for cell in notebook["cells"]],
    "ids in an older format": lambda notebook: notebook.update(nbformat_minor=4),
    "another kernel": lambda notebook: notebook["metadata"].update(kernelspec={"name": "ir", "display_name": "R"}),
    "widgets": lambda notebook: notebook["metadata"].update(widgets={"application/vnd.jupyter.widget-state+json": {}}),
    "attachments": lambda notebook: notebook["cells"][0].update(attachments={"a.png": {"image/png": ""}}),
}


@pytest.mark.parametrize("change", FORMATS.values(), ids=FORMATS)
def test_what_other_tools_write_is_read_silently(change, tmp_path, capfd, recwarn):
    notebook = json.loads(PATHS[0].read_text(encoding="utf-8"))
    change(notebook)
    (tmp_path / "01_changed.ipynb").write_text(json.dumps(notebook), encoding="utf-8-sig")
    read = notebooks.read_source(tmp_path / "01_changed.ipynb")
    assert notebooks.code(read) == notebooks.code(notebooks.read(PATHS[0]))
    assert set(notebooks.clean(read).metadata) <= {"kernelspec", "language_info", "labhelpers"}
    assert capfd.readouterr() == ("", "") and not recwarn.list


def test_copies_for_students_have_no_outputs_and_are_never_replaced(tmp_path, monkeypatch):
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setattr(notebooks, "project", lambda: tmp_path)
    folder = notebooks.copy_for_student()
    assert {path.name for path in folder.iterdir()} == {*(path.name for path in PATHS), "GLOSSARY.md"}
    for path in PATHS:
        ours, copy = notebooks.read(path), notebooks.read(folder / path.name)
        assert [cell.source for cell in copy.cells] == [cell.source for cell in ours.cells]
        assert not notebooks.outputs(copy) and "labhelpers" not in copy.metadata
        assert not any(cell.get("execution_count") for cell in copy.cells)
    mine = folder / PATHS[0].name
    mine.write_text("mine", encoding="utf-8")
    notebooks.copy_for_student()
    assert mine.read_text(encoding="utf-8") == "mine"


def test_structure(notebook):
    faults = notebooks.structure_faults(notebook)
    assert not faults, "\n".join(faults)
    targets = re.findall(r"\]\((\d\d_\w+\.ipynb)\)", "\n".join(cell.source for cell in notebook.cells))
    dead = [target for target in targets if not (ROOT / "notebooks" / target).exists()]
    assert not dead, f"links to notebooks that don't exist: {dead}"


def test_every_figure_has_a_caption_and_an_alternative_text(notebook):
    for name in notebooks.figures(notebook):
        with Image.open(ROOT / f"figures/{name}.png") as image:
            caption, alt = image.text["caption"], image.text["alt"]
        assert caption.endswith(".") and alt.endswith("."), f"give save_figure a caption and an alt for {name}"
        assert alt != caption and "nan" not in alt, f"give save_figure an alt of its own, without nan, for {name}"


def test_default_of_every_parameter_is_in_its_range(notebook):
    declared = notebooks.parameters(notebook)
    assert declared, "tag the cell with the parameters `parameters`"
    for parameter in declared.values():
        default = parameter.default
        assert parameter.parse(default if isinstance(default, str) else repr(default)) == default


def test_committed_report_is_consistent():
    assert publish.check().startswith("consistent: ")


def test_papermill_trains_live_from_any_directory_and_looks_at_a_picture_of_one_s_own(tmp_path):
    notebook, picture = tmp_path / "copies/06_copy.ipynb", tmp_path / "mine.jpg"
    notebook.parent.mkdir()
    shutil.copy(ROOT / "notebooks/06_image_quality.ipynb", notebook)
    replace(notebook, "cifar.split(40_000)", "cifar.split(2_000)")
    replace(notebook, "x, y = cifar.train_images, cifar.train_labels", "x, y = cifar.split(5_000).train")
    replace(notebook, "says(cifar.test_images)", "says(cifar.test_images[:500])")
    replace(notebook, "(axis=1) == labels\\n", "(axis=1) == labels[:500]\\n")
    Image.new("RGB", (90, 60), "orange").save(picture)
    settings = {"TRAIN_LIVE": True, "WIDTH": 4, "EPOCHS": 1, "MY_IMAGE": picture}
    arguments = [part for name, value in settings.items() for part in ("-p", name, value)]
    out = tmp_path / "somewhere else"
    done = run("papermill", notebook, "out.ipynb", *arguments, cwd=tmp_path, LAB_OUT=out, LAB_DATA="standin")
    assert done.returncode == 0, done.stderr[-2000:]
    outputs = [out for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells for out in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"], "a batch run is silent"
    assert next(out.rglob("own_image.png")).stat().st_size > 1000
    said = pd.read_csv(next(out.rglob("own_image.csv")))
    assert list(said["class"]) == list(CLASS_NAMES)
    assert said[["deeper", "yours"]].sum().tolist() == pytest.approx([1, 1], abs=1e-4)


def committed():
    files = [path for folder in ("notebooks", "figures") for path in (ROOT / folder).iterdir() if path.is_file()]
    return {path: path.read_bytes() for path in files}


@pytest.mark.long
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_nbval(path, tmp_path, real_cifar):
    """Outputs are compared wherever they hold on any machine; those that depend on training are not, so it is short."""
    before = committed()
    source = re.sub(r"(?m)^( +\"EPOCHS = )\d+ ", r"\g<1>1 ", path.read_text(encoding="utf-8"))
    source = source.replace("*split.train,", "*(part[:2_000] for part in split.train),")
    copy = tmp_path / path.name
    copy.write_text(source, encoding="utf-8")
    options = ("--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path)
    options += ("-p", "labhelpers.reporting")  # see pyproject.toml
    done = run("pytest", *options, copy, LAB_OUT=tmp_path / "out", LAB_DATA=real_cifar.source)
    assert done.returncode == 0, done.stdout[-4000:]
    assert not re.search(r"\d+ (failed|skipped|error)", done.stdout)
    assert committed() == before


@pytest.mark.long
def test_baseline_is_reproduced(tmp_path, real_cifar):
    """The one test that trains as the report does; nbval compares what the other notebooks say of themselves."""
    done = run("labhelpers", "report", "02", "--strict", LAB_OUT=tmp_path / "out", LAB_DATA=real_cifar.source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n02: within the spread of recorded runs: furthest out is " in done.stdout


def test_nbval_without_a_path_collects_the_notebooks_and_no_fixture():
    options = ("--nbval", "--nbval-current-env", "--collect-only", "-q", "-p", "no:cacheprovider")
    done = run("pytest", *options, "--ignore-glob=*/test_*.py")
    assert set(re.findall(r"^(\S+\.ipynb)::", done.stdout, re.M)) == {f"notebooks/{path.name}" for path in PATHS}


@pytest.fixture(scope="session")
def quick_report(tmp_path_factory):
    """`lab report --quick` on stand-in images: what `make report` does without CIFAR-10, in small."""
    copy = tmp_path_factory.mktemp("quick")
    for folder in ("labhelpers", "notebooks", "data/runs", "data/networks"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "requirements.lock", copy)
    for path in (copy / "notebooks").glob("*.ipynb"):
        with_solutions(path)
    out = copy / "report"
    done = run("labhelpers", "report", "--quick", "--data", "standin", cwd=copy, LAB_OUT=out, PYTHONPATH=copy)
    assert done.returncode == 0, done.stderr
    return out / "standin/quick"


def with_solutions(path):
    """Append the folded solutions to a notebook, as cells, as a student would who types them in."""
    notebook = nbformat.read(path, as_version=4)
    folded = "\n".join(cell.source for cell in notebook.cells if "<details>" in cell.source)
    for number, source in enumerate(re.findall(r"```python\n(.+?)```", folded, re.DOTALL)):
        notebook.cells.append(nbformat.v4.new_code_cell(source, id=f"solution-{number}"))
    nbformat.write(notebook, path)


@pytest.mark.parametrize("stem", [path.stem for path in PATHS])
def test_solutions_run_and_are_right(quick_report, stem):
    ran = nbformat.read(quick_report / f"notebooks/{stem}.ipynb", as_version=4)
    solutions = [cell for cell in ran.cells if cell.id.startswith("solution-")]
    checked = [cell for cell in solutions if "check(" in cell.source]
    assert checked or not any("check(" in cell.source for cell in ran.cells), "give a solution that is checked"
    for cell in checked:
        assert cell.outputs[-1].data["text/plain"] == "Yes.", cell.source


def test_quick_report_makes_every_figure_and_compares_nothing(quick_report):
    for path in PATHS:
        for name in notebooks.figures(notebooks.read(path)):
            assert (quick_report / f"figures/{name}.png").exists()
    assert "A rehearsal (--quick)" in (quick_report / "index.html").read_text(encoding="utf-8")
    table = (quick_report / "figures/table1_baseline.csv").read_text()
    assert "test accuracy,,0." in table, "nothing is set beside the original's numbers"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium.PROGRAM is None:
        pytest.skip("no Chromium is installed")
    with chromium.Chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def page(quick_report):
    return quick_report / "index.html"


@pytest.mark.parametrize("width", [400, 1280])
def test_page_in_a_browser_without_network(browser, page, width):
    browser.open(page.as_uri(), width)
    browser.see("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    shown = [
        cell
        for path in PATHS
        for cell in notebooks.read(path).cells
        if "remove-cell" not in cell.metadata.get("tags", ())
    ]
    figures = len(notebooks.figures(nbformat.v4.new_notebook(cells=shown)))
    counts = {"header": 1, "section": 4, ".notebook": figures - 5}  # the improvements, the original's, the others
    for place, count in counts.items():
        assert browser.see(f"document.querySelectorAll('{place} figure > img').length") == count, place
    assert browser.see("[...document.images].filter(image => !image.naturalWidth || !image.alt).length") == 0
    assert browser.see("document.documentElement.scrollWidth - innerWidth") <= 0, "no sideways scrolling"
    assert browser.requests == [page.as_uri()] and browser.complaints == []
    assert page.stat().st_size < 8e6


def shown(browser):
    """What the confusion matrix tells, and its images; those that the browser could decode."""
    told = "document.querySelector('.matrix .told')"
    browser.see(f"Promise.all([...{told}.querySelectorAll('img')].map(image => image.decode()))")
    return browser.see(
        f"[{told}.firstChild.textContent, [...{told}.querySelectorAll('li')].map(item => item.textContent)]"
    )


def test_cell_of_the_matrix_shows_its_images(browser, page):
    browser.open(f"{page.as_uri()}#figure-figure3_confusion_matrix", 400)
    full = "[...document.querySelectorAll('.matrix button')].sort((a, b) => b.textContent - a.textContent)[0]"
    key = browser.see(f"{full}.dataset.key")
    browser.click(f".matrix button[data-key='{key}']")
    said, images = shown(browser)
    assert re.match(r"\w+ (recognised|taken for \w+): [\d,]+ images, [\d.]+\s% of the class\.", said)
    assert 1 <= len(images) <= 12
    assert all(re.match(r"test image \d+: \w+, answered \w+, \d+\s% sure", text) for text in images)
    by_mouse = said

    browser.open(f"{page.as_uri()}#figure-figure3_confusion_matrix", 1280)
    browser.see("document.querySelector('.matrix button').focus()")
    browser.press("ArrowRight", "ArrowDown")
    here = "document.activeElement"
    assert browser.see(f"{here}.closest('tr').rowIndex") == 2 and browser.see(f"{here}.closest('td').cellIndex") == 2
    for key in ("Enter", " "):
        browser.see("document.querySelector('.matrix .told').replaceChildren('nothing yet')")
        browser.press(key)
        assert shown(browser)[0].startswith(browser.see(f"{here}.getAttribute('aria-label')"))
    browser.see(f"{full}.focus()")
    browser.press("Enter")
    assert shown(browser)[0] == by_mouse
    assert browser.see("document.querySelectorAll('.matrix button[tabindex=\"0\"]').length") == 1
    assert browser.complaints == []


def test_dot_among_the_verdicts_shows_its_run(browser, page):
    browser.open(page.as_uri())
    told = "document.querySelector('.strip .told').textContent"
    said = "document.querySelector('.strip input').getAttribute('aria-valuetext')"
    browser.click(".strip .dot")
    first = browser.see(told)
    assert re.match(r"[\w-]+, seed (\d+): test accuracy [\d.]+\s%, .*; record data/runs/[\w-]+-seed\1\.json", first)
    assert browser.see("document.querySelector('.dot.chosen').dataset.description") == first == browser.see(said)
    browser.press("ArrowRight")
    second = browser.see("document.querySelectorAll('.strip .dot')[1].dataset.description")
    assert browser.see(told) == second == browser.see(said) != first


def test_contents_follow_the_reader(browser, page):
    browser.open(page.as_uri())
    for place in (PATHS[-1].stem, f"{PATHS[0].stem}-2", "results"):
        browser.see(f"document.querySelector('nav a[href=\"#{place}\"]').click()")
        wait_for(lambda: browser.see("document.querySelector('nav [aria-current]')?.hash") == f"#{place}")  # noqa: B023


def ask(browser, pixels):
    """The logits of each network for values of 0 to 255, (32, 32, 3)."""
    return browser.see(f"askNetworks({pixels.ravel().tolist()}, null, 'x').then(all => all.map(it => it.logits))")


def test_the_networks_in_the_page_compute_what_keras_does(browser, page):
    """With the same weights, rounded to 8 bits, and on test images."""
    table = pd.read_csv(page.parent / "examples" / asking.FILE)
    assert len(table) == 100 and table["true"].value_counts().eq(10).all()
    files = [io.BytesIO(base64.b64decode(text)) for text in table["webp"][::25]]
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    assert np.array_equal(images, data.load("standin").test_images[table["image"][::25]])
    browser.open(page.as_uri())
    logits = np.array([ask(browser, image) for image in images])
    for number, name in enumerate(asking.NETWORKS):
        model = models.load_trained(name)
        model.set_weights(asking.rounded(model.get_weights()))
        assert logits[:, number] == pytest.approx(model.predict(images, verbose=0), abs=1e-3)
    browser.click(".samples button:nth-child(32)")
    row = table.iloc[31]
    wait_for(lambda: "; best, " in browser.see(SAID))
    said = f"Test image {row['image']}, {CLASS_NAMES[row['true']]}. The networks say: deeper, "
    assert browser.see(SAID).startswith(said)
    shown = browser.see("[...document.querySelectorAll('.ask td')].map(cell => parseFloat(cell.textContent))")
    assert np.reshape(shown, (10, 4)).astype(float)[:, 1:].sum(axis=0) == pytest.approx(100, abs=2)
    assert browser.complaints == [] and browser.requests == [page.as_uri()]


SAID = "document.querySelector('.ask .said').textContent"
DROP = """{{
const files = new DataTransfer();
files.items.add(new File([Uint8Array.from(atob("{data}"), it => it.charCodeAt(0))], "{name}"));
document.querySelector(".ask").dispatchEvent(new DragEvent("drop", {{ dataTransfer: files, cancelable: true }}));
}}"""
CHOOSE = DROP.replace(
    'document.querySelector(".ask").dispatchEvent(new DragEvent("drop", {{ dataTransfer: files, cancelable: true }}))',
    'const it = document.querySelector(".ask input"); it.files = files.files; it.dispatchEvent(new Event("change"))',
)
PICTURES = {  # name of the file, and what it holds
    "upright.png": lambda: picture(48, 64),
    "turned.jpg": lambda: picture(96, 64),
    "clear.png": lambda: picture(40, 40, "RGBA"),
    "deep.png": lambda: Image.fromarray((np.asarray(picture(64, 64).convert("L")).astype(np.uint16)) * 257),
    "huge.jpg": lambda: picture(600, 400).resize((6000, 4000)),
    "moving.gif": lambda: picture(50, 50).convert("P"),
}


def picture(width, height, mode="RGB"):
    colours = np.indices((height, width, len(mode)))
    values = 255 * (colours[0] + colours[1] * (1 + colours[2])) / (height + width * (1 + colours[2]))
    return Image.fromarray(values.astype(np.uint8), mode)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_read_as_in_a_notebook(browser, page, name, tmp_path):
    exif, more = Image.Exif(), {"save_all": True, "append_images": [Image.new("P", (50, 50))]}
    exif[0x0112] = 6  # lies on its side
    image = PICTURES[name]()
    image.save(tmp_path / name, **{"turned.jpg": {"exif": exif, "quality": 95}, "moving.gif": more}.get(name, {}))
    if browser.see("location.href") != page.as_uri():
        browser.open(page.as_uri())
    how = CHOOSE if name == "upright.png" else DROP
    browser.see(how.format(data=base64.b64encode((tmp_path / name).read_bytes()).decode(), name=name))
    part = "" if image.width == image.height else ", its middle square"
    wait_for(lambda: browser.see(SAID).startswith(f"{name}{part}. The networks say: "))
    seen = browser.see("[...document.querySelector('.ask canvas').getContext('2d').getImageData(0, 0, 32, 32).data]")
    difference = np.reshape(seen, (32, 32, 4))[..., :3] - read_image(tmp_path / name).astype(float)
    assert abs(difference).max() <= 4 and abs(difference).mean() < 1


def test_a_file_that_is_no_picture_is_named(browser, page):
    browser.open(page.as_uri())
    browser.see(DROP.format(data="YWJj", name="notes.txt"))
    wait_for(lambda: browser.see(SAID).startswith("notes.txt can't be read as a picture: choose a JPEG, PNG, "))
    assert browser.see("document.querySelector('.answer').hidden") and browser.complaints == []


# axe takes two thirds of its time for 6,000 words of code, which have the same colours in all cells.
ONE_OF_EACH_COLOUR = """{
const seen = new Set();
for (const word of document.querySelectorAll("pre span"))
  seen.has(word.className) ? word.replaceWith(...word.childNodes) : seen.add(word.className);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_axe_finds_nothing(browser, page, width, scheme):
    """At WCAG 2.2 AA and best practice, with everything unfolded."""
    if not AXE.exists():
        pytest.skip("axe-core is not there: make axe gets it")
    browser.open(page.as_uri(), width)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.see("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    # axe quotes elements with all that is in them, and these hold megabytes.
    browser.see("document.querySelectorAll('script[type]').forEach(data => data.remove())")
    browser.see(ONE_OF_EACH_COLOUR)
    browser.see(f"{AXE.read_text(encoding='utf-8')}; 0")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    only = f"{{runOnly: {rules}, resultTypes: ['violations']}}"
    found = browser.see(f"axe.run({only}).then(it => JSON.stringify(it.violations))")
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in json.loads(found)] == []


def test_keyboard_reaches_the_report_first(browser, page):
    browser.open(page.as_uri())
    browser.press("Tab", "Enter")
    assert browser.see("document.activeElement.id") == "report"


def test_on_paper_it_has_two_pages_without_what_only_a_screen_can_show(browser, page):
    browser.open(page.as_uri())
    assert len(re.findall(rb"/Type /Page\b", browser.printed())) == 2
    printed = pdf.write(page)
    assert printed.name == "report.pdf" and len(re.findall(rb"/Type /Page\b", printed.read_bytes())) == 2
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        seen = "[...document.querySelectorAll('nav, details, .strip')].filter(it => it.checkVisibility()).length"
        assert browser.see(seen) == 0
        assert browser.see("[...document.images].filter(it => it.checkVisibility()).length") == 5
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
