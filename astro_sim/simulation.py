"""`simulate`: from the name of an experiment to its dataset."""

from typing import Any

import numpy as np
import xarray as xr

from astro_sim import experiments
from astro_sim.common.errors import InputError
from astro_sim.common.settings import describe as describe_fields
from astro_sim.dataset import describe


def simulate(experiment: str, model: str = "macro", seed: int = 0, **parameters: Any) -> xr.Dataset:
    """Run a named experiment.

    Parameters
    ----------
    experiment : {"stp", "ltp", "spatial", "frequency"}
    model : {"macro"}
    seed : int
        Decides what is random: input strengths where ``drive_cv`` > 0, the layout "random".
    **parameters
        Settings of the experiment and parameters of the model, by name; `describe_settings` lists them.

    Returns
    -------
    xarray.Dataset
        Named dimensions; units and description on every variable; provenance in the attributes.

    Raises
    ------
    InputError
        Unknown experiment, model or setting (with the nearest name), a value out of bounds, a numerical blow-up.

    Examples
    --------
    >>> dataset = simulate("ltp", cycles=6)
    >>> dataset["p_l_cycle"].sizes["cycle"]
    7
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed!r}")
    chosen = experiments.get(experiment, model)
    settings, values = chosen.complete(parameters)
    dataset = chosen.run(settings, values, np.random.default_rng(seed))
    return describe(
        dataset,
        experiment,
        model,
        int(seed),
        {**settings.model_dump(mode="json"), **values.model_dump(mode="json")},
    )


def describe_settings(experiment: str, model: str = "macro") -> list[tuple[str, Any, str, str]]:
    """Every setting of an experiment and its model: name, default, unit, meaning."""
    chosen = experiments.get(experiment, model)
    rows = describe_fields(chosen.settings, chosen.parameters)
    return [(name, chosen.defaults.get(name, default), unit, meaning) for name, default, unit, meaning in rows]
