"""Create .venv with the locked packages, or bring it up to date. `make` runs this; on Windows: python setup_venv.py

Two stamps in .venv hold what was installed, and where. They are compared by content, not by time: a checkout that only
touches files costs nothing, and an environment in a moved or copied folder, whose scripts still start the old one, is
noticed. Each stamp is written after its step has succeeded. Without the first one .venv is created again, never
completed, because pip takes a package that was unpacked halfway for an installed one.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CREATED_HERE = VENV / "created_by_setup_venv"
LOCK_STAMP, TOML_STAMP = VENV / "stamp.lock", VENV / "stamp.toml"
FITTING = [(3, 11), (3, 12), (3, 13)]
EXACTLY = "--exactly" in sys.argv  # a Python was named: .venv must be made from one of its version


def main():
    os.chdir(Path(__file__).resolve().parent)
    installed, declared = f"{Path.cwd()}\n{read('requirements.lock')}", read("pyproject.toml")

    def is_locked():
        version = f"version = {'.'.join(map(str, sys.version_info[:3]))}\n"
        right_python = not EXACTLY or version in read(VENV / "pyvenv.cfg")
        return PYTHON.exists() and read(LOCK_STAMP) == installed and right_python

    def is_ready():
        return is_locked() and read(TOML_STAMP) == declared

    if is_ready():
        return
    continue_in_fitting_python()
    with alone():
        if is_ready():  # another set-up has just ended
            return
        if not is_locked():
            create()
            pip("--require-hashes", "-r", "requirements.lock")
            LOCK_STAMP.write_text(installed, encoding="utf-8")
        pip("--no-deps", "--no-build-isolation", "-e", ".")
        TOML_STAMP.write_text(declared, encoding="utf-8")


def read(path):
    """Return the text of a file, empty if it can't be read."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8")
    return ""


def fail(line):
    print("make:", line, file=sys.stderr)
    sys.exit(2)


def continue_in_fitting_python():
    """Start a Python of a version that fits, outside any virtual environment, since .venv may be deleted."""
    candidates = [sys._base_executable] if sys.version_info[:2] in FITTING else []
    if not EXACTLY:
        candidates += filter(None, (shutil.which(f"python{major}.{minor}") for major, minor in FITTING))
    if not candidates:
        version = ".".join(map(str, sys.version_info[:3]))
        fail(f"needs Python 3.11, 3.12 or 3.13, this is {version}: name another, make PYTHON=python3.12 report")
    if candidates[0] != sys.executable:
        sys.exit(subprocess.call([candidates[0], *sys.argv]))


@contextlib.contextmanager
def alone():
    """Let a second set-up in this folder wait for the first, on systems that have such locks."""
    with Path("requirements.lock").open(encoding="utf-8") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def create():
    """Create .venv, instead of one that an earlier set-up may have left."""
    if VENV.exists() and not CREATED_HERE.exists() and not LOCK_STAMP.exists():
        fail(".venv was not created by make: rename or delete it, then run this again")
    VENV.mkdir(exist_ok=True)
    CREATED_HERE.touch()  # it stays until the end: whenever this is interrupted, the next one may continue
    for path in VENV.iterdir():
        if path != CREATED_HERE:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"setting up .venv with Python {version}: 1 to 2 minutes, 3 GB on disk, only once", flush=True)
    command = [sys.executable, "-m", "venv", str(VENV)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # Debian's Python has no ensurepip; its pip can install into a virtual environment without one.
    if subprocess.call(command, **quiet):
        if subprocess.call([*command, "--without-pip"]):
            fail(f"{sys.executable} could not create .venv, see above: is there space, and may you write here?")
        if subprocess.call([sys.executable, "-m", "pip", "--version"], **quiet):
            fail("this Python has neither ensurepip nor pip; on Debian and Ubuntu: apt install python3-pip")


def pip(*arguments):
    """Install with the pip in .venv, or else with the one outside it."""
    command = [str(PYTHON), "-m", "pip"]
    if not any(PYTHON.parent.glob("pip*")):
        command = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    settings = {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if subprocess.call([*command, "install", "-qq", *arguments], env={**os.environ, **settings}):
        fail("pip failed, see above: check network and disk space, then run this again")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail("interrupted: run it again to continue")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}; mend that, or wait until another setup has ended, then run it again")
