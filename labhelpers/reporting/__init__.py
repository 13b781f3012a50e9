"""What re-runs the notebooks and makes the report: reached through the `lab` command."""
