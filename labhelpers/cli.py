"""The `lab` command: reads what was typed, calls the library, tells errors in one line."""

import argparse
import os
import signal
import sys
from pathlib import Path

from labhelpers.errors import LabError

# Each command imports what it needs when it runs, so that `lab --help` answers at once.


def main(arguments=None) -> int:
    """Run one command; returns the exit status.

    It is 0, 2 for an error told in one line, 130 when interrupted, 141 when nobody read the output to its end.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not _jupyter:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left running
    try:
        options.command(options)
        print(end="", flush=True)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lab: interrupted; what was finished is kept, run again to carry on", file=sys.stderr)
        return 130
    except OSError as error:  # of stdout: the library tells its own as LabError
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python's last flush fails again
        if isinstance(error, BrokenPipeError):  # as in `lab report | head -1`
            return 141
        print(
            f"lab: can't write {error.filename or 'the output'}: {error.strerror or error}", file=sys.stderr
        )
        return 2
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="lab", description="A lab report on CIFAR-10, reproduced.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function, name, text):
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(command=function)
        return added

    data = command(_data, "data", "find or download CIFAR-10, verify it, say where it is")
    data.add_argument("--data", metavar="PATH", help="a folder, an archive, or 'standin'")
    data.add_argument("--verify", action="store_true", help="also list the digest of every file")

    report = command(_report, "report", "re-execute the notebooks that changed, and write report/index.html")
    report.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a number, such as 02, or a name")
    report.add_argument("--data", metavar="PATH", help="a folder, an archive, or 'standin'")
    report.add_argument("--quick", action="store_true", help="few images, one epoch, into report/quick")
    report.add_argument("--force", action="store_true", help="execute them even if nothing changed")
    report.add_argument("--explain", action="store_true", help="say why each would run, and run nothing")
    report.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        dest="values",
        metavar=("NAME", "VALUE"),
        help="set a parameter",
    )

    jupyter = command(
        _jupyter, "jupyter", "open copies of the notebooks in JupyterLab, to change and run at will"
    )
    jupyter.epilog = "Further options go to jupyter lab, such as --no-browser."
    study = command(_study, "study", "make the missing run records of the study, most wanted first")
    study.add_argument(
        "--experiments", nargs="+", default=[], metavar="ID", help="only these, such as baseline-20000"
    )
    study.add_argument("--seeds", type=int, metavar="N", help="at most so many runs of each")
    study.add_argument(
        "--workers", type=int, metavar="N", help="processes, of a thread each; as a rule one a core"
    )
    study.add_argument("--scheduler", metavar="ADDRESS", help="train on a Dask cluster, tcp://…")
    study.add_argument(
        "--repeat", nargs=2, metavar=("ID", "SEED"), help="train once more, compare with the record"
    )
    command(_verdicts, "verdicts", "print a verdict on each claim of the original, from the run records")

    refresh = command(
        _refresh, "refresh", "take the last report over into notebooks/, figures/ and README.md"
    )
    refresh.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="only these, such as 02")
    command(_check, "check", "check that notebooks, figures, records and README are consistent")
    return parser


def _data(options):
    from labhelpers import data
    from labhelpers.cifar10 import BATCH_SHA256

    cifar = data.find(options.data)
    print(
        f"{cifar.name} {'drawn by labhelpers.standin' if cifar.is_standin else f'in {cifar.source}, verified'}"
    )
    print(f"digest {cifar.digest}")
    if options.verify and not cifar.is_standin:
        for name, sha256 in BATCH_SHA256.items():
            print(f"{sha256}  {name}")


def _report(options):
    from labhelpers.reporting.execute import explain, report

    asked = {
        "source": options.data,
        "quick": options.quick,
        "force": options.force,
        "values": dict(options.values),
    }
    if options.explain:
        print(*explain(options.notebooks, **asked), sep="\n")
    else:
        print(f"the page: {report(options.notebooks, **asked)}")


def _jupyter(options):
    from labhelpers.reporting.notebooks import copy_for_student

    folder = copy_for_student()
    print(f"your copies of the notebooks are in {folder}; to start one over, delete it and run this again")
    os.environ["LAB_OUT"] = str(folder)
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    os.environ["PATH"] = programs  # a terminal in JupyterLab then knows `lab`, as the notebooks call it
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "jupyter", "lab", *options.rest])


def _study(options):
    from labhelpers.study import runner

    if options.repeat:
        print(runner.repeat(*options.repeat))
        return
    made = runner.study(
        options.experiments, options.seeds, workers=options.workers, scheduler=options.scheduler
    )
    print(f"made {made} records" if made else "every record is there: nothing to do")


def _verdicts(options):
    from labhelpers.study import tables, verdicts

    judged, faults = verdicts.verdicts()
    for fault in faults:
        print(f"WARNING: {fault}", file=sys.stderr)
    print(tables.as_text(judged))
    if faults:
        raise LabError(f"{len(faults)} of the records could not be used, see above: run lab study")


def _refresh(options):
    from labhelpers.reporting.publish import refresh

    for line in refresh(options.notebooks):
        print(line)


def _check(options):
    from labhelpers.reporting.publish import check

    print(check())
