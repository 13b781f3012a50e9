"""How the study should use the cores: one process with all threads, or a process of one thread for each core.

`make bench` runs this after training.py. Each layout trains the deeper network on 20,000 images, all its processes
at once; the layouts take turns, ROUNDS times.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from training import EPOCHS, machine, ours

ROUNDS = 2
RUN = 2 * 20  # epochs of 20,000 images in one run of the experiment deeper-40000
CORES = os.cpu_count()
LAYOUTS = {(1, CORES), (CORES, 1), (CORES, CORES)}  # processes, threads of each
TABLE = Path(__file__).with_suffix(".md")


def seconds_an_epoch(processes, threads):
    """Return the seconds of every timed epoch in every process."""
    command = [sys.executable, __file__, "--one"]
    variables = os.environ | {"LAB_THREADS": str(threads)}
    started = [
        subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    seconds = []
    for process in started:
        out, err = process.communicate()
        if process.returncode != 0:
            raise SystemExit(err)
        seconds += json.loads(out.splitlines()[-1])
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().one:
        print(json.dumps(ours("deeper")))
        return
    seconds = {layout: [] for layout in sorted(LAYOUTS)}
    for turn in range(ROUNDS):
        for layout in seconds:
            print(f"round {turn + 1} of {ROUNDS}: {layout[0]} x {layout[1]}", file=sys.stderr)
            seconds[layout] += seconds_an_epoch(*layout)
    TABLE.write_text(table(seconds), encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def table(seconds):
    """Return the results as Markdown, with the machine they hold for."""
    lines = [
        "# Runs an hour of the experiment deeper-40000",
        "",
        f"Written by `make bench`: from the median (smallest to largest) of {EPOCHS} epochs of 20,000 images in each "
        f"process, {ROUNDS} rounds, the layouts taking turns. {machine()}.",
        "",
        "| processes | threads of each | seconds an epoch, in each | runs an hour, together |",
        "|---|---|---|---|",
    ]
    for (processes, threads), values in seconds.items():
        median = statistics.median(values)
        spread = f"{median:.2f} ({min(values):.2f} to {max(values):.2f})"
        lines.append(f"| {processes} | {threads} | {spread} | {processes * 3600 / (RUN * median):.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
