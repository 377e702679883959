"""The laws: what was fitted, from which data, how well it is known, and what a model asks of it.

`bridge.schema` says what stands in the file; `Laws` is what programs use.
"""

import json
import re
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from astro_sim.common.errors import InputError, require_known, require_whole
from astro_sim.common.files import digest, read_json, write_text
from astro_sim.common.settings import explain
from bridge import families
from bridge.schema import (
    KIND,
    REACH,
    RESOLUTION,
    SCHEMA_VERSION,
    LawsDocument,
    Number,
    Perturbation,
    finite,
    residual_autocorrelation,
    residual_deviation,
    residual_r_squared,
)

Array = NDArray[np.float64]

PAPER_EXPONENT = 0.25  # presynaptic exponent, 1; hyperparameter tables of AT (arXiv 2312.10925) and RMAAT
PERTURBATIONS = {
    "flat": "every segment alike: RetentionFactor(t, T) = 1/T",
    "reversed": "RetentionFactor(T + 1 - t, T): what the law forgets first is kept best",
    "random": "weights drawn once from an exponential distribution, the same for every T up to their sum",
    "faster": "time constants divided by a factor",
    "slower": "time constants multiplied by a factor",
    "posterior": "parameters of one of the draws: a law that the data allow too",
}
DEFAULTS = ("macro", "biophysical")  # models whose laws ship with the package
WEIGHTS = ("flat", "reversed", "random")  # perturbations that leave the parameters as they are


class Laws:
    """The distilled laws: what a model asks of the astrocyte.

    Parameters
    ----------
    document : LawsDocument

    Raises
    ------
    InputError
        The law's family is unknown, or parameters, units or what follows from them do not fit together.
    """

    def __init__(self, document: LawsDocument) -> None:
        self.document = document
        self.family = families.get(document.retention.family, document.retention.knots)
        _require_consistent(document, self.family)

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters of the retention law."""
        return {name: number.value for name, number in self.document.retention.parameters.items()}

    @property
    def spatial_decay(self) -> float | None:
        """Decay of the process response with distance, per process spacing; None if not fitted."""
        number = self.document.spatial_decay
        return None if number is None else number.value

    @property
    def presynaptic_exponent(self) -> float | None:
        """Exponent alpha of calcium against presynaptic rate; None if not fitted. The papers' is `PAPER_EXPONENT`."""
        number = self.document.presynaptic_exponent
        return None if number is None else number.value

    def short_term(self, tokens: int) -> dict[str, float]:
        """What is left of each short-term state a token later, if a segment has so many tokens.

        By the clock of retention: a segment stands for a cycle of tau_cycle seconds, so a token for tau_cycle / tokens,
        and exp(-tau_cycle / (tokens tau)) is left. Empty if no time constants were fitted.
        """
        return {name: float(np.exp(-1.0 / tau)) for name, tau in self.short_term_tokens(tokens).items()}

    def time_constants(self, heads: int, tokens: int, within: bool = False) -> tuple[float, ...]:
        """Short-term time constants in tokens, spread over heads: evenly spaced quantiles in the logarithm.

        Parameters
        ----------
        heads : int
        tokens : int
            Of a segment, which stands for a cycle.
        within : bool
            Leave out what lasts longer than a segment.

        Returns
        -------
        tuple of float, (heads,)
            From the shortest to the longest; one head has the median.

        Raises
        ------
        InputError
            Laws without short-term time constants, or with none that ends within a segment.
        """
        heads = require_whole("heads", heads, 1)
        known = self.short_term_tokens(tokens)
        if not known:
            raise InputError(
                "short_term: these laws hold no short-term time constants; expected laws fitted to an stp dataset, too"
            )
        times = sorted(time for time in known.values() if not within or time <= tokens)
        if not times:
            raise InputError(
                f"short_term: every time constant of these laws is longer than a segment of {tokens} tokens"
            )
        at = np.linspace(0.0, 1.0, heads) if heads > 1 else np.array([0.5])
        return tuple(float(time) for time in np.exp(np.quantile(np.log(times), at)))

    def short_term_tokens(self, tokens: int) -> dict[str, float]:
        """Short-term time constants in tokens, if a segment has so many, and stands for a cycle; by name."""
        tokens = require_whole("tokens", tokens, 1, of="tokens")
        length = self.document.retention.tau_cycle / tokens
        return {name: number.value / length for name, number in self.document.short_term.items()}

    @property
    def fitted_cycles(self) -> int:
        """Number of simulated cycles; a larger T extrapolates."""
        return self.document.retention.fitted_cycles

    @property
    def needs_total(self) -> bool:
        """Whether the factors of a stream depend on where it will end."""
        return self._weights == "reversed"

    @property
    def digest(self) -> str:
        """SHA-256 of the contents: two laws are the same exactly if their digests are."""
        return digest(self.document.model_dump(mode="json"))

    @property
    def parametric(self) -> bool:
        """Whether the parameters decide the factors; not where perturbed weights stand in their place."""
        return self._weights not in ("flat", "random")

    @property
    def _weights(self) -> str | None:
        kind = self.document.perturbation
        return kind.kind if kind is not None and kind.kind in WEIGHTS else None

    def retention(self, total: int) -> Array:
        """RetentionFactor(t, T) for t = 1 .. T.

        Parameters
        ----------
        total : int
            T, the number of segments, at least 1. Beyond `fitted_cycles` the law extrapolates.

        Returns
        -------
        array, (T,)
            Sums to 1. Positive, unless a factor is smaller than a float64 can hold (below 5e-324, which exponential
            laws reach some 750 time constants from the segment that they favour); then 0. `log_retention` is finite.

        Raises
        ------
        InputError
            A T that is no whole number from 1.

        Source: RMAAT (arXiv 2601.00426).
        """
        total = _segments(total)
        if self._weights is None:
            return self.family.retention(total, self.parameters)
        return np.exp(self.log_retention(total))

    def log_retention(self, total: int) -> Array:
        """Logarithms of RetentionFactor(t, T) for t = 1 .. T: finite where the factor itself is too small to hold."""
        logs = self.log_weights(total)
        return logs - np.logaddexp.reduce(logs)

    def online(self, total: int) -> Array:
        """delta_t / F(t) for t = 1 .. ``total``: the share that each cycle has of all up to it; needs no T in advance.

        Laws that were reversed need it all the same (`needs_total`).
        """
        total = _segments(total)
        if self._weights is None:
            return self.family.online(total, self.parameters)
        logs = self.log_weights(total)
        return np.exp(logs - np.logaddexp.accumulate(logs))

    def log_weights(self, total: int) -> Array:
        """Logarithms of what RetentionFactor(., T) is proportional to, (T,): of the increments, if not perturbed."""
        total, perturbation = _segments(total), self.document.perturbation
        if self._weights is None or perturbation is None:
            return self.family.log_increments(total, self.parameters)
        if self._weights == "flat":
            return np.zeros(total)
        if self._weights == "reversed":
            return self.family.log_increments(total, self.parameters)[::-1]
        return np.log(np.random.default_rng(perturbation.seed).standard_exponential(total))

    def band(self, total: int, confidence: float = 0.95) -> tuple[Array, Array] | None:
        """Where RetentionFactor(., T) lies in most of the draws, cycle by cycle.

        The family is taken for granted; `Candidate` rows say how others would differ.

        Parameters
        ----------
        total : int
        confidence : float
            Share of the draws inside, at each t.

        Returns
        -------
        low, high : array, (T,)
            Or None, where the law has no draws or its weights were perturbed.

        Raises
        ------
        InputError
            A confidence that is no share between 0 and 1, a T that is no number of segments.
        """
        total, draws = _segments(total), self.document.retention.draws
        if not 0 < confidence < 1:
            raise InputError(f"confidence: expected a share between 0 and 1, got {confidence}")
        if draws is None or self._weights is not None:
            return None
        tables = [self.family.retention(total, draws.draw(k)) for k in range(draws.count)]
        low, high = np.quantile(tables, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
        return low, high

    def extrapolates(self, total: int) -> bool:
        """Whether RetentionFactor(., T) rests on cycles that were never simulated."""
        return _segments(total) > self.fitted_cycles

    def perturbed(self, kind: str, factor: float = 2.0, seed: int = 0) -> Self:
        """Laws that differ on purpose, to find out whether the simulated law matters to a model.

        Parameters
        ----------
        kind : {"flat", "reversed", "random", "faster", "slower", "posterior"}
            `PERTURBATIONS` says what each is.
        factor : float
            Of "faster" and "slower"; above 1.
        seed : int
            Of "random" and "posterior".

        Raises
        ------
        InputError
            Another kind, a factor of 1 or less, a law that has no time scale (the spline), no draws or draws that are
            all alike, or laws that were perturbed already.
        """
        law = self.document.retention
        require_known("perturbation", kind, PERTURBATIONS)
        if self.document.perturbation is not None:
            raise InputError(f"these laws are perturbed already ({self.document.perturbation.kind})")
        seed = require_whole("seed", seed, 0)
        values, origin = self.parameters, ""
        if kind in ("faster", "slower"):
            if not np.isfinite(factor) or factor <= 1:
                raise InputError(f"factor: expected a number above 1, got {factor}")
            if law.knots:
                raise InputError("the spline has knots at whole cycles and no time scale that could be changed")
            change = factor if kind == "slower" else 1.0 / factor
            units = {p.name: p.unit for p in self.family.parameters}
            values = {name: value * (change if units[name] == "cycles" else 1.0) for name, value in values.items()}
            origin = f"{kind} by a factor of {factor:g}"
        elif kind == "posterior":
            if law.draws is None:
                raise InputError("these laws have no draws: nothing repeats in their data, and there is no noise")
            within = max(max(draws) / min(draws) - 1.0 for draws in (law.draws.values[name] for name in values))
            if within < RESOLUTION:
                raise InputError(
                    f"these laws have no spread to draw from: their {law.draws.count} draws differ by {within:.1g} at "
                    f"most, less than the {100 * RESOLUTION:g} % from which on there is noise; expected laws of a "
                    "simulation with noise"
                )
            k, drawn = seed % law.draws.count, law.draws.draw(seed % law.draws.count)
            values, origin = {name: drawn[name] for name in values}, f"draw {k} of {law.draws.count}"
        marked = Perturbation(
            kind=kind,  # pyright: ignore[reportArgumentType]  # one of PERTURBATIONS
            factor=float(factor) if kind in ("faster", "slower") else None,
            seed=seed if kind in ("random", "posterior") else None,
            of=self.digest,
        )
        changed = self.with_parameters(values, origin) if origin else self
        return type(self)(changed.document.model_copy(update={"perturbation": marked}))

    def with_parameters(self, values: dict[str, float], origin: str) -> Self:
        """The same laws with other parameters of the retention law, without intervals; ``origin`` says whence."""
        law = self.document.retention
        units = {p.name: p.unit for p in self.family.parameters}
        rise = np.array(law.samples) - law.start
        left = rise - law.amplitude.value * self.family.level(np.arange(1, law.fitted_cycles + 1), values)
        reached = float(self.family.level(float(law.fitted_cycles), values))
        changed = {
            "parameters": {
                name: Number(value=value, stderr=None, low=None, high=None, unit=units[name], origin=origin)
                for name, value in values.items()
            },
            "noise": "levels",
            "noise_origin": f"nothing was fitted ({origin})",
            "spread": None,
            "residuals": [float(each) for each in left],
            "deviation": finite(residual_deviation(left, 0)),
            "autocorrelation": residual_autocorrelation(left),
            "r_squared": residual_r_squared(left, rise),
            "draws": None,
            "reached": reached,
            "identifiable": law.converged and reached >= REACH,
            "concave": bool(self.family.concave(values)),
            "peak_cycle": self.family.peak_cycle(values, horizon=100 * law.fitted_cycles),
        }
        return type(self)(self.document.model_copy(update={"retention": law.model_copy(update=changed)}))

    def save(self, path: str | Path) -> None:
        """Write laws.json, whole or not at all; the digest of the contents goes in last."""
        contents = {**self.document.model_dump(mode="json"), "digest": self.digest}
        write_text(path, readable(contents))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read laws.json.

        Raises
        ------
        InputError
            No such file, not JSON, not a laws file, another schema version, a field missing, unknown or out of
            bounds, parts that contradict each other, or a digest that does not hold (the file was edited by hand).
        """
        return cls.from_json(read_json(path, "laws file"), where=str(path))

    @classmethod
    def from_json(cls, raw: Any, where: str = "laws") -> Self:
        """Validate parsed JSON; ``where`` names it in messages. Raises `InputError` as `load` does."""
        if not isinstance(raw, dict) or raw.get("kind") != KIND:
            raise InputError(f"{where}: not a laws file (expected kind {KIND!r})")
        version = raw.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(f"{where}: laws schema {version}; this version reads {SCHEMA_VERSION}")
        stated = raw.get("digest")
        try:
            document = LawsDocument.model_validate({name: value for name, value in raw.items() if name != "digest"})
            laws = cls(document)
        except ValidationError as error:
            raise InputError(f"{where}: {explain(error, LawsDocument)}") from None
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if stated != laws.digest:
            raise InputError(f"{where}: the digest does not hold; the file was changed after it was written")
        return laws


def default_laws(model: str = "macro") -> Laws:
    """The laws that ship with the package: those of a simulation with the default settings.

    For a first model, or where no experiment of one's own is at hand. ``benchmarks/studies/default_laws.py`` made them;
    their ``sources`` say of which datasets.

    Parameters
    ----------
    model : {"macro", "biophysical"}
        Which model's long-term plasticity. Short-term time constants are those of both.

    Raises
    ------
    InputError
        Another model.
    """
    require_known("model", model, DEFAULTS)
    return Laws.load(Path(__file__).parent / "defaults" / f"{model}.json")


def _segments(total: int) -> int:
    return require_whole("T", total, 1, of="segments")


def readable(contents: dict[str, Any]) -> str:
    """Indented JSON with every list of numbers on one line."""
    text = json.dumps(contents, indent=2, allow_nan=False)
    numbers = re.compile(r"\[\s+([-+.\de]+(?:,\s+[-+.\de]+)*)\s+\]")
    return numbers.sub(lambda found: "[" + ", ".join(word.strip() for word in found[1].split(",")) + "]", text) + "\n"


def _require_consistent(document: LawsDocument, family: families.Family) -> None:
    """Raise `InputError` where parts of the document contradict each other or the family."""
    law = document.retention
    values = {name: number.value for name, number in law.parameters.items()}
    _require_parameters("retention law", family, values)
    for p in family.parameters:
        _require_unit(p.name, law.parameters[p.name], p.unit)
    for tried in law.candidates:
        if tried.family in families.NAMES:  # a family of one's own may be unknown where the file is read
            _require_parameters("candidate", families.get(tried.family, tried.knots), tried.parameters)
    if list(family.knots) != law.knots:
        raise InputError(f"retention.knots: expected none of the family {family.name!r}, got {law.knots}")
    _require_unit("amplitude", law.amplitude, law.unit)
    for name, number, unit in (
        ("spatial_decay", document.spatial_decay, "1/spacing"),
        ("presynaptic_exponent", document.presynaptic_exponent, "1"),
        *((f"short_term.{name}", number, "s") for name, number in document.short_term.items()),
    ):
        if number is not None:
            _require_unit(name, number, unit)
    for name, column in (("samples", law.samples), ("residuals", law.residuals), ("spread", law.spread)):
        if column is not None and len(column) != law.fitted_cycles:
            raise InputError(f"retention.{name}: expected {law.fitted_cycles}, one a cycle, got {len(column)}")
    if law.draws is not None:
        lengths = {len(column) for column in law.draws.values.values()}
        if sorted(law.draws.values) != sorted([*values, "amplitude"]) or len(lengths) != 1:
            raise InputError(f"retention.draws: expected {[*sorted(values), 'amplitude']}, all of one length")
    if law.concave != bool(family.concave(values)):
        raise InputError(f"retention.concave: {law.concave} contradicts the parameters")
    if law.identifiable != (law.converged and law.reached >= REACH):
        raise InputError(f"retention.identifiable: {law.identifiable} contradicts converged and reached")


def _require_parameters(what: str, family: families.Family, values: dict[str, float]) -> None:
    found, expected = sorted(values), sorted(p.name for p in family.parameters)
    if found != expected:
        raise InputError(f"{what} {family.name!r}: expected parameters {expected}, got {found}")
    for p in family.parameters:
        # Fitted as logarithms: a value at its bound comes back rounded.
        if not p.low * (1 - 1e-9) <= values[p.name] <= p.high * (1 + 1e-9):
            raise InputError(f"{family.name} law: expected {p.name} in {p.low:g} to {p.high:g}, got {values[p.name]:g}")


def _require_unit(name: str, number: Number, unit: str) -> None:
    if number.unit != unit:
        raise InputError(f"{name}: expected the unit {unit}, got {number.unit!r}")
