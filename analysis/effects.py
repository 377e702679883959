"""The figure of a sensitivity analysis: which biology the law depends on."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from analysis.curves import colour
from analysis.figures import save
from bridge.effects import OUTPUTS, Sensitivity


def draw(found: Sensitivity, path: str | Path) -> None:
    """Draw a bar a parameter, a panel an output, largest effect on the first one on top.

    Parameters
    ----------
    found : Sensitivity
    path : path
        PNG, SVG or PDF by its suffix; written whole or not at all.

    Raises
    ------
    InputError
        Another suffix.

    Notes
    -----
    Morris: the mean elasticity, its spread over the ranges as a line; an effect whose sign changes has a line across 0.
    Sobol: the share of variance with all interactions, and its 95 % interval.
    """
    morris = found.method == "morris"
    order = [effect.parameter for effect in found.effects if effect.output == next(iter(OUTPUTS))]
    at = np.arange(len(order))[::-1]
    figure = Figure(figsize=(9.0, 1.2 + 0.28 * len(order)), layout="constrained")
    panels = figure.subplots(1, len(OUTPUTS), sharey=True)
    for k, (axes, (output, name)) in enumerate(zip(panels, OUTPUTS.items(), strict=True)):
        effects = {effect.parameter: effect for effect in found.effects if effect.output == output}
        values = [(effects[p].mean if morris else effects[p].together) or 0.0 for p in order]
        errors = [(effects[p].spread if morris else effects[p].confidence) or 0.0 for p in order]
        axes.barh(at, values, xerr=errors, color=colour(k), error_kw={"elinewidth": 1, "ecolor": "#606060"})
        axes.axvline(0.0, color="#808080", linewidth=0.8)
        axes.set_title(name.format(T=found.total), fontsize=10)
        axes.set_xlabel("elasticity (1)" if morris else "share of variance (1)")
    panels[0].set_yticks(at, order)
    save(figure, path)
