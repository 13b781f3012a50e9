"""A student's own copies of the notebooks: theirs to change, out of git's sight."""

import shutil
from pathlib import Path

from labhelpers.paths import FREE_SPACE, project, writing
from labhelpers.reporting.notebooks import notebook_paths

FOLDER = "my_notebooks"


def prepare() -> Path:
    """Copy the notebooks that aren't there yet into `my_notebooks`; what is there stays as it is.

    Raises:
        LabError: the folder can't be written.
    """
    folder = project() / FOLDER
    with writing(folder, FREE_SPACE):
        folder.mkdir(exist_ok=True)
        for path in notebook_paths():
            if not (folder / path.name).exists():
                shutil.copy(path, folder)
    return folder
