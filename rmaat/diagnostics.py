"""Looking into a model at work: what it holds in memory."""

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def peak_extra_bytes(work: Callable[[], object]) -> int:
    """Highest sum of CPU tensor bytes allocated and not yet freed while ``work`` runs, above where it started.

    From the profiler's own record of allocations, so those inside operators count too; resident memory would mislead
    by a factor of 2 to 4.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    profiler: Any = record.profiler
    kineto = profiler.kineto_results
    changes = [(event.start_ns(), event.nbytes()) for event in kineto.events() if event.name() == "[memory]"]
    held = peak = 0
    for _, size in sorted(changes, key=lambda change: change[0]):
        held += size
        peak = max(peak, held)
    return peak
