"""See what was simulated, distilled and trained: one HTML report, figures for print, the paper's numbers.

>>> import analysis
>>> analysis.build_report(["ltp.nc", "laws.json", "run"], "report.html")

Names are loaded on first use; nothing here simulates, fits or trains.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.comparison.compare import compare
    from analysis.report import build_report

_HOME = {"build_report": "analysis.report", "compare": "analysis.comparison.compare"}

__all__ = ["build_report", "compare"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
