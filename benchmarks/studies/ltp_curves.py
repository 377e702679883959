"""LTP curves of the macro and the biophysical model side by side: what law each makes, and how far from exponential."""

from typing import Any

import numpy as np
import xarray as xr

import astro_sim
import bridge
from benchmarks.registry import Benchmark, require
from bridge.families.base import total_variation

CYCLES, TOTAL = 24, 16
TOTALS = (4, 8, 16)
MACRO = {"cycles": CYCLES, "burn_in": 3, "interval": 10.0}
BIO = {"cycles": CYCLES, "repetitions": 10, "target": "cpp_standalone"}
# name -> (model, settings, what doubles the activity)
CURVES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "macro, linear": ("macro", {**MACRO}, {"amplitude": 2.0}),
    "macro, bounded": ("macro", {**MACRO, "ltp_dynamics": "bounded"}, {"amplitude": 2.0}),
    "biophysical, depressing": ("biophysical", {**BIO, "preset": "depressing"}, {"pre_rate": 2.0}),
    "biophysical, facilitating": ("biophysical", {**BIO, "preset": "facilitating"}, {"pre_rate": 2.0}),
    "biophysical, depressing, no gliotransmission": (
        "biophysical", {**BIO, "preset": "depressing", "glio": "none"}, {"pre_rate": 2.0},
    ),
    "biophysical, facilitating, no gliotransmission": (
        "biophysical", {**BIO, "preset": "facilitating", "glio": "none"}, {"pre_rate": 2.0},
    ),
}  # fmt: skip


def simulate(name: str, doubled: bool = False) -> xr.Dataset:
    """One of `CURVES`, at its activity or at twice that."""
    model, settings, twice = CURVES[name]
    return astro_sim.simulate("ltp", model, seed=0, **settings, **(twice if doubled else {}))


def parameters_of(laws: bridge.Laws) -> str:
    """Parameters with their intervals."""
    return "; ".join(
        f"{name} {n.value:.3g}" + ("" if n.low is None else f" ({n.low:.3g} to {n.high:.3g})")
        for name, n in laws.document.retention.parameters.items()
    )


def check() -> None:
    """The linear macro curve is the exponential that its equation says."""
    law = bridge.fit_laws([simulate("macro, linear")], "exponential")
    tau = law.document.retention.parameters["tau"].value
    require(abs(tau - 6.0) <= 1e-6, "the linear macro curve is not exponential with 6 cycles")


def measure() -> list[dict[str, Any]]:
    """A row a curve."""
    reference = bridge.fit_laws([simulate("macro, linear")], "exponential")
    rows = []
    for name in CURVES:
        run, busy = simulate(name), simulate(name, doubled=True)
        laws, exponential = bridge.fit_laws([run]), bridge.fit_laws([run], "exponential")
        at_twice = bridge.fit_laws([busy], "exponential")
        curve = run["p_l_cycle"]
        mean = curve.mean([dim for dim in curve.dims if dim != "cycle"]).values
        # A band over seeds: each repetition is the experiment once more, with other trains and noise.
        if "repetition" in curve.dims:
            each = curve.mean("synapse").isel(cycle=[6, CYCLES]).values
            band = each.std(axis=1, ddof=1)
        else:
            band = np.zeros(2)
        steps = np.diff(mean)
        retention = laws.retention(TOTAL)
        rows.append(
            {
                "curve": name,
                "p_6": round(float(mean[6]), 4),
                "sd_6": round(float(band[0]), 4),
                f"p_{CYCLES}": round(float(mean[-1]), 4),
                f"sd_{CYCLES}": round(float(band[1]), 4),
                "delta_6/delta_1": round(float(steps[5] / steps[0]), 3),
                "falling steps": int((steps < 0).sum()),
                "family": laws.family.name,
                "parameters": parameters_of(laws),
                "noise in": laws.document.retention.noise,
                "tau (cycles)": round(exponential.document.retention.parameters["tau"].value, 3),
                "tau at twice the activity": round(at_twice.document.retention.parameters["tau"].value, 3),
                "RetentionFactor(1, 16)": round(float(retention[0]), 4),
                "distance to its exponential": round(total_variation(retention, exponential.retention(TOTAL)), 4),
                **{
                    f"distance to macro, linear, T = {total}": round(
                        total_variation(laws.retention(total), reference.retention(total)), 4
                    )
                    for total in TOTALS
                },
            }
        )
    return rows


BENCHMARK = Benchmark(
    f"LTP curves over {CYCLES} cycles; distances are total variation between RetentionFactor(., {TOTAL})",
    check,
    measure,
)
