"""Run the `lab` command as `python -m labhelpers`."""

from labhelpers.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
