"""What this machine has: cores, memory, processor. TensorFlow is not needed to know it."""

import contextlib
import os
import platform
from pathlib import Path

from labhelpers.errors import LabError

CPUINFO = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")  # the limits of a container


def threads() -> int:
    """Return how many threads may compute: as many as `LAB_THREADS` says, or as cores this process may use."""
    asked = os.environ.get("LAB_THREADS")
    if asked and not (asked.isdecimal() and int(asked) > 0):
        raise LabError(f"LAB_THREADS is {asked!r}: set it to a whole number of at least 1, or unset it")
    # macOS and Windows can't tell which cores a process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(asked or cores or 1)


def quota() -> float:
    """Return how many cores' time this process may take: infinity where no container limits it."""
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        limit, period = map(int, (CGROUP / "cpu.max").read_text().split())
        return limit / period
    return float("inf")


def free_memory() -> float:
    """Return how many bytes this process may still take: the machine's, or fewer in a container."""
    limits = [float("inf")]  # where nothing is known, as on macOS and Windows
    if available := facts(Path("/proc/meminfo")).get("MemAvailable"):
        limits.append(1024 * int(available.split()[0]))
    with contextlib.suppress(OSError, ValueError):
        limit, taken = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        limits.append(limit - taken)
    return min(limits)


def processor() -> str:
    """Return the name of this machine's processor, on Linux with its vector instructions."""
    told = facts(CPUINFO)
    if not told:
        return platform.processor() or platform.machine()
    flags = told.get("flags", "").split()
    vectors = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    family = f"family {told['cpu family']} model {told['model']}" if "model" in told else platform.machine()
    return ", ".join([told.get("model name", "unknown"), family, *vectors])


def facts(path: Path) -> dict[str, str]:
    """Return what a file of Linux says, by name, of several processors about the first; nothing on other systems."""
    told: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    return told
