"""What this machine has: cores, memory, processor. TensorFlow is not needed to know it."""

import contextlib
import os
import platform
from pathlib import Path

from labhelpers.errors import LabError

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
    limits = [float("inf")]
    with contextlib.suppress(OSError):  # Linux alone tells
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        limits.append(1024 * int(facts["MemAvailable"].split()[0]))
    with contextlib.suppress(OSError, ValueError):
        limit, taken = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        limits.append(limit - taken)
    return min(limits)


def processor() -> str:
    """Return the name of this machine's processor, with its vector instructions where Linux tells them."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    facts: dict[str, str] = {}
    for line in cpuinfo.read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", "").split()
    vectors = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    family = f"family {facts['cpu family']} model {facts['model']}" if "model" in facts else platform.machine()
    return ", ".join([facts.get("model name", "unknown"), family, *vectors])
