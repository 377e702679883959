"""What Brian2 is handed, evaluated in NumPy: equations and codes of `astro_sim.biophysical` without a network.

Values are numbers in Brian2's base units (s, mol/m^3, V, A, S, F). A step is taken as `engine` has Brian2 take it: what
happens at a time acts first, then the equations move on, and samples hold the left limit.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from astro_sim.biophysical import (
    an,
    an_neuron,
    calcium,
    endocannabinoid,
    gliotransmission,
    ip3_flux,
    potentiation,
    process,
    synapse,
)  # fmt: skip

UM = process.UM

# Names of Brian2's functions and units; `int` makes 0 or 1 of a condition.
FUNCTIONS = {name: getattr(np, name) for name in ("exp", "log", "tanh", "sqrt", "abs", "sign", "clip")}
FUNCTIONS |= {"int": lambda condition: np.asarray(condition, dtype=float)}
FUNCTIONS |= dict.fromkeys(("mmolar", "second", "volt", "amp"), 1.0)
# Stages of a method: the point of each, in steps along the slope before it, and the weights of all slopes.
METHODS = {"euler": ((0.0,), (1.0,)), "rk2": ((0.0, 0.5), (0.0, 1.0)), "rk4": ((0.0, 0.5, 0.5, 1.0), (1, 2, 2, 1))}
END = re.compile(r"_(?:post|pre)$")  # a synapse's name for a variable of one of its ends


def numbers(space: Mapping[str, Any]) -> dict[str, float]:
    """A namespace of quantities as bare numbers in base units."""
    return {name: float(value) for name, value in space.items()}


class Model:
    """Equations with their constants and the present state.

    Parameters
    ----------
    equations : str
        Of a Brian2 group.
    space : mapping
        Constants, as bare numbers or quantities.
    **state
        Where the variables start, numbers or arrays; 0 for those not given.
    """

    def __init__(self, equations: str, space: Mapping[str, Any], **state: Any) -> None:
        self.slopes, self.formulas, self.constants = {}, {}, numbers(space)
        self.state: dict[str, Any] = {}
        for line in filter(None, map(str.strip, equations.splitlines())):
            name, _, expression = line.rpartition(":")[0].partition("=")
            if slope := re.match(r"d(\w+)/dt", name):
                self.slopes[slope[1]] = compile(expression.strip(), line, "eval")
            elif expression:
                self.formulas[name.strip()] = compile(expression.strip(), line, "eval")
            if slope or not expression:
                self.state[slope[1] if slope else name.strip()] = 0.0
        self.set(**state)

    def set(self, **values: Any) -> None:
        self.state |= {name: np.asarray(value, dtype=float) for name, value in values.items()}

    def __getitem__(self, name: str) -> Any:
        """A variable, an intermediate formula or a constant, as expressions name it."""
        for table in (self.state, self.constants):
            if name in table:
                return table[name]
        if name in self.formulas:
            return eval(self.formulas[name], FUNCTIONS, self)
        if END.search(name):
            return self[END.sub("", name)]
        raise KeyError(name)

    def slope(self) -> dict[str, Any]:
        """Right-hand side of every differential equation."""
        return {name: eval(code, FUNCTIONS, self) for name, code in self.slopes.items()}

    def act(self, code: str, **given: Any) -> None:
        """Run a code of assignments, such as what a spike does; ``given`` are values that it alone knows."""
        kept, self.constants = self.constants, {**self.constants, **given}
        for line in filter(None, map(str.strip, code.splitlines())):
            name, sign, expression = re.match(r"(\w+)\s*([+-]?)=\s*(.*)", line).groups()
            value, name = eval(expression, FUNCTIONS, self), END.sub("", name)
            self.state[name] = {"": value, "+": self[name] + value, "-": self[name] - value}[sign] if sign else value
        self.constants = kept

    def step(self, dt: float, method: str = "rk4") -> None:
        """Take one step of a Runge-Kutta method."""
        start, total, slope = dict(self.state), dict.fromkeys(self.slopes, 0.0), dict.fromkeys(self.slopes, 0.0)
        points, weights = METHODS[method]
        for point, weight in zip(points, weights, strict=True):
            self.state = {**start, **{name: start[name] + point * dt * slope[name] for name in slope}}
            slope = self.slope()
            total = {name: total[name] + weight * slope[name] for name in slope}
        self.state = {**start, **{name: start[name] + dt / sum(weights) * total[name] for name in slope}}

    def run(
        self,
        duration: float,
        dt: float,
        names: Iterable[str] = (),
        at: Iterable[tuple[float, str]] = (),
        method: str = "rk4",
        before: str = "",
        after: str = "",
        crossing: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        """Move on by ``duration`` s.

        Parameters
        ----------
        names : iterable of str
            To sample at every step, both ends included.
        at : iterable of (float, str)
            Times, s, and the codes that act then.
        before, after : str
            Codes of each step, before and after the equations move on.
        crossing : (str, str), optional
            A condition, and the code that acts in the step in which it is found to have turned true.

        Returns
        -------
        dict
            Samples by name, (steps + 1, ...), and "crossings", the times (s) at which ``crossing`` acted.
        """
        codes: dict[int, list[str]] = {}
        for time, code in at:
            codes.setdefault(round(time / dt), []).append(code)
        samples: dict[str, list[Any]] = {name: [] for name in names}
        crossings, condition = [], compile(crossing[0] if crossing else "False", "crossing", "eval")
        above = bool(eval(condition, FUNCTIONS, self))
        for step in range(round(duration / dt) + 1):
            for name in samples:
                samples[name].append(self[name])
            if step == round(duration / dt):
                break
            was, above = above, bool(eval(condition, FUNCTIONS, self))
            for code in codes.get(step, ()):
                self.act(code)
            if crossing and above and not was:
                self.act(crossing[1])
                crossings.append(step * dt)
            self.act(before, dt=dt)
            self.step(dt, method)
            self.act(after, dt=dt)
        return {**{name: np.array(values) for name, values in samples.items()}, "crossings": np.array(crossings)}


def unit(p: process.ProcessParameters, **state: Any) -> Model:
    """A tripartite unit in its starting state, concentrations in uM."""
    state = {name: np.multiply(value, UM if name in process.CONCENTRATIONS else 1) for name, value in state.items()}
    return Model(
        process.astrocyte_equations(p) + synapse.EQUATIONS + gliotransmission.EQUATIONS + process.PER_UNIT,
        {**process.namespace(p), "dt": p.dt, "t": 0.0},
        **{
            **{"x_S": 1.0, "x_A": 1.0, "h": 0.9, "U_0_star": p.U_0_star, "alpha": p.alpha, "last_spike": -1.0},
            **process.switches(p.knockouts),
            **state,
        },
    )


def cell(p: process.AstrocyteParameters, coupled: bool = False, **state: Any) -> Model:
    """An astrocyte without synapse, or many, concentrations in uM."""
    state = {name: np.multiply(value, 1 if name == "h" else UM) for name, value in state.items()}
    return Model(process.astrocyte_equations(p, coupled) + "Y_S : mmolar\n" * coupled, process.namespace(p), **state)


def junctions(graph: Any, ip3: Any, p: Any) -> Any:
    """J_coupling of each cell, uM/s, as the equations of the junctions have it for the cells' IP3, uM."""
    total = np.zeros(graph.cells)
    equations = ip3_flux.GAP_JUNCTION.replace(" (summed)", "")
    for (i, j), strength in zip(graph.edges, graph.strength, strict=True):
        for one, other in ((i, j), (j, i)):
            junction = Model(
                equations, process.namespace(p), I_post=ip3[one] * UM, I_pre=ip3[other] * UM, strength=strength
            )
            total[one] += junction["J_coupling_post"] / UM
    return total


def an_synapse(**settings: Any) -> tuple[Model, Model, an.ANParameters]:
    """The astrocyte-neuron synapse: its astrocyte, a neuron with one synapse, and the parameters."""
    p = an.ANParameters(**settings)
    space = {**an.namespace(p), "t_failure": 0.0}
    equations = calcium.EQUATIONS + calcium.GATE + endocannabinoid.ASTROCYTE + potentiation.ASTROCYTE
    astrocyte = Model(equations, space, C=p.C_0 * UM, h=p.h_0, I=p.I_star * UM)
    share = "share : 1\neSP : 1\nlost : 1\nsent_healthy : 1\nsent_failed : 1\n"
    neuron = Model(an_neuron.EQUATIONS + endocannabinoid.NEURON + potentiation.SYNAPSE + share, space, share=1.0,
                   t_spike=-1e6)  # fmt: skip
    return astrocyte, neuron, p


def time_above(jumps: Iterable[tuple[float, float]], duration: float, theta: float, tau: float) -> float:
    """Time that exponentially decaying calcium with the given (time, jump) events spends above theta."""
    level, last, total = 0.0, 0.0, 0.0
    for time, jump in [*sorted(jumps), (duration, 0.0)]:
        total += min(max(tau * np.log(level / theta), 0.0) if level > 0 else 0.0, time - last)
        level = level * np.exp(-(time - last) / tau) + jump
        last = time
    return total
