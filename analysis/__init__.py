"""See what was simulated, distilled and trained: one HTML report, figures for print, the paper's numbers.

>>> import analysis
>>> analysis.build_report(["ltp.nc", "laws.json", "run"], "report.html")

Names are loaded on first use; nothing here simulates, fits or trains.
"""

from typing import TYPE_CHECKING

from astro_sim.common.extras import lazily

if TYPE_CHECKING:
    from analysis.comparison.compare import compare
    from analysis.report.page import build_report

_HOME = {"build_report": "analysis.report.page", "compare": "analysis.comparison.compare"}

__all__ = ["build_report", "compare"]

__getattr__ = lazily(__name__, _HOME)
