"""The `lab` command: reads the command line, calls the library, reports errors in one line."""

import argparse
import errno
import io
import os
import signal
import sys
from pathlib import Path

from labhelpers import __version__
from labhelpers.errors import LabError

# Each command imports what it needs when it runs, so that `lab --help` answers at once.


def main(arguments=None) -> int:
    """Run one command; returns the exit status.

    It is 0, 1 if `lab report --strict` finds something that was not reproduced, 2 for an error reported in one line,
    130 when interrupted, 141 when the reader of the output has stopped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else a true minus sign is an error in the C locale, and on Windows
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left running
    try:
        _run(sys.argv[1:] if arguments is None else arguments)
        print(end="", flush=True)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("lab: interrupted; what was finished is kept, run again to carry on", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        ready = "run make setup, or python setup_venv.py, then use .venv/bin/lab"
        print(f"lab: {sys.executable} lacks the package {error.name}: {ready}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:  # of stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python's last flush fails again
        if isinstance(error, BrokenPipeError):  # as in `lab report | head -1`
            return 141
        verb, remedy = "use", "check that it is there and that you have permission"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            verb, remedy = "write", "free some space"
        place, reason = error.filename or "the output", error.strerror or error
        print(f"lab: can't {verb} {place}: {reason}; {remedy}, then run again", file=sys.stderr)
        return 2
    return 0


def _run(arguments):
    parser = _parser()
    known, rest = parser.parse_known_args(arguments)
    options = vars(known)
    command = options.pop("command")
    if command is _jupyter:
        options["rest"] = rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        Path.cwd()
    except FileNotFoundError:
        raise LabError("the current folder was deleted: change to another one") from None
    if command is not _doctor:  # which looks first whether modules can be imported
        _warn_of_another_clone()
    command(**options)


def _warn_of_another_clone():
    from labhelpers.paths import current_project, project

    here = current_project()
    if here and not here.samefile(project()):
        it, remedy = f"this lab works on {project()}, not on {here}", "for one that works there, run make setup there"
        print(f"WARNING: {it}; {remedy}", file=sys.stderr)


def _parser():
    parser = argparse.ArgumentParser(prog="lab", description="A lab report on CIFAR-10, reproduced.")
    parser.add_argument("--version", action="version", version=f"lab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function, name, text):
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(command=function)
        return added.add_argument

    source = {"dest": "source", "metavar": "PATH", "help": "a folder, an archive, or 'standin'"}
    option = command(_data, "data", "find or download CIFAR-10, verify it, print its location and digest")
    option("--data", **source)

    option = command(_report, "report", "re-execute the notebooks that changed, and write report/index.html")
    option("names", nargs="*", metavar="NOTEBOOK", help="a number, such as 02, or a name")
    option("--data", **source)
    option("--quick", action="store_true", help="few images, one epoch, into report/quick")
    option("--force", action="store_true", help="execute them even if nothing changed")
    option("--strict", action="store_true", help="exit with status 1 if a result is outside what was expected")
    option("--explain", action="store_true", help="say why each would run, and run nothing")
    option("--pdf", action="store_true", help="also print the report as report.pdf, on two pages")
    help = "set a parameter; several values, for one or more parameters, run every combination"
    setting = {"dest": "values", "nargs": "+", "metavar": ("NAME", "VALUE"), "help": help}
    option("-p", action="append", default=[], **setting)

    command(_jupyter, "jupyter", "open copies of the notebooks in JupyterLab; takes options of jupyter lab")

    option = command(_study, "study", "produce the missing run records of the study, most important first")
    option("--experiments", nargs="+", default=[], metavar="ID", help="only these, such as baseline-20000")
    option("--seeds", type=int, metavar="N", help="at most so many runs of each")
    option("--workers", type=int, metavar="N", help="processes, of a thread each; usually one per core")
    option("--scheduler", metavar="ADDRESS", help="train on a Dask cluster, tcp://…")
    option("--repeat", nargs=2, metavar=("ID", "SEED"), help="train once more, compare with the record")
    option("--keep-weights", nargs=2, metavar=("ID", "SEED"), help="train once, keep the weights in data/networks")

    option = command(_predict, "predict", "say which of the ten classes the trained networks see in pictures")
    option("pictures", nargs="+", metavar="PICTURE", help="a file; its middle square is scaled to 32x32 pixels")

    command(_doctor, "doctor", "check this machine and environment, and say what to fix")

    command(_verdicts, "verdicts", "print the verdict on each claim of the original, from the run records")

    option = command(_refresh, "refresh", "copy the last report into notebooks/, figures/ and README.md")
    option("names", nargs="*", metavar="NOTEBOOK", help="only these, such as 02")

    command(_check, "check", "check that notebooks, figures, records and README are consistent")
    return parser


def _data(source):
    from labhelpers import data

    cifar = data.find(source)
    place = "drawn by labhelpers.standin" if cifar.is_standin else f"in {cifar.source}, verified"
    print(f"{cifar.name} {place}\ndigest {cifar.digest}")


def _report(values, names, source, quick, force, explain, strict, pdf):
    for name, *texts in values:
        if "=" in name:
            raise LabError(f"-p {name}: write name and value as two words, -p {name.replace('=', ' ', 1)}")
        if not texts:
            raise LabError(f"-p {name}: write a value after it, as in -p {name} 3")
        if [name for other, *_ in values if other == name] != [name]:
            raise LabError(f"-p {name} is given twice: write all its values after one -p")
    if any(len(texts) > 1 for _, *texts in values):
        if quick or explain or strict or pdf:
            raise LabError(
                "--quick, --explain, --strict and --pdf can't be combined with several values: leave them out"
            )
        from labhelpers.reporting.sweep import sweep

        table = sweep(names, {name: texts for name, *texts in values}, source, force)
        print(f"the results: {table}, and a figure beside it")
        return
    from labhelpers.reporting import pdf as printer
    from labhelpers.reporting.execute import report

    if pdf:
        printer.browser()  # before anything runs
    if page := report(names, source, quick, force, dict(values), explain, strict):
        print(f"the page: {page}")
        if pdf:
            print(f"for paper: {printer.write(page)}")


def _jupyter(rest):
    from labhelpers.reporting.notebooks import copy_for_student

    folder = copy_for_student()
    print(f"your copies of the notebooks are in {folder}; to start one over, delete it and run this again")
    os.environ["LAB_OUT"] = str(folder / "results")
    # A terminal in JupyterLab then finds `lab`, under the name that the notebooks use.
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    os.environ["PATH"] = os.pathsep.join(programs)
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "jupyter", "lab", *rest])


def _study(experiments, seeds, workers, scheduler, repeat, keep_weights):
    from labhelpers.study import runner

    if repeat or keep_weights:
        print(runner.repeat(*repeat) if repeat else runner.keep_weights(*keep_weights))
        return
    made = runner.study(experiments, seeds, workers=workers, scheduler=scheduler)
    print(f"made {made} records" if made else "every record is there: nothing to do")


def _predict(pictures):
    from labhelpers import data

    images = [data.read_image(picture) for picture in pictures]  # first, since TensorFlow takes seconds to start

    from labhelpers import models, training, weights
    from labhelpers.evaluation import percent
    from labhelpers.study import records
    from labhelpers.study.experiments import experiment

    answers = {}
    for name, (id, seed) in weights.TRAINED.items():
        record = records.read(experiment(id), seed)
        tested = f" (test accuracy {percent(record.accuracy)})" if record else ""
        answers[f"{experiment(id).label}{tested}"] = training.predict(models.load_trained(name), images)
    width = max(map(len, answers))
    for at, picture in enumerate(pictures):
        print(picture)
        for network, probabilities in answers.items():
            likely = sorted(zip(probabilities[at], data.CLASS_NAMES, strict=True), reverse=True)[:3]
            print(f"  {network:{width}} ", ", ".join(f"{name} {percent(share)}" for share, name in likely))


def _doctor():
    from labhelpers.doctor import doctor

    if faulty := doctor():
        raise LabError(f"{len(faulty)} to fix, see above: {', '.join(faulty)}")


def _verdicts():
    from labhelpers.study import tables, verdicts

    judged, faults = verdicts.verdicts()
    for fault in faults:
        print(f"WARNING: {fault}", file=sys.stderr)
    print(tables.as_text(judged))
    if faults:
        raise LabError(f"{len(faults)} of the records could not be used, see above: run lab study")


def _refresh(names):
    from labhelpers.reporting.publish import refresh

    print(*refresh(names), sep="\n")


def _check():
    from labhelpers.reporting.publish import check

    print(check())
