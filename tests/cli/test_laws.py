"""`rmaat laws`: a file in words, what moves a law, and what comes near to one."""

import json
from pathlib import Path

import pytest

from astro_sim import simulate
from astro_sim.common.files import digest
from astro_sim.dataset import read
from bridge import fit_laws
from bridge.describe import plain
from bridge.exploration.sensitivity import Sensitivity
from bridge.laws import PERTURBATIONS, Laws
from rmaat.__main__ import main

EXAMPLES = Path(__file__).parent.parent / "bridge" / "laws"


@pytest.mark.parametrize("name", ["exponential", "stretched", "spline", "reversed"])
def test_show_tells_law_factors_and_candidates(name, capsys):
    path = EXAMPLES / "valid" / f"{name}.json"
    laws = Laws.load(path)
    assert main(["laws", "show", str(path), "--total", "16"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    perturbed = f"Perturbed on purpose: reversed ({PERTURBATIONS['reversed']}); "
    identity = f"{plain(laws.family.name)}, {laws.family.equation}"
    assert out.startswith(perturbed if name == "reversed" else f"Retention law: {identity}")
    assert (f"\nRetention law before that: {identity}" in out) == (name == "reversed")
    assert "Fitted to 6 cycle ends averaged over 3 post x 3 pre; from ltp (macro, seed 0)." in out
    (first,) = [line.split() for line in out.splitlines() if line.split()[:2] == ["16", "1"]]
    assert first[2] == f"{laws.retention(16)[0]:.4g}"
    assert first[-1] == "extrapolated"
    assert (first[-2] == "set,") == (name == "reversed")
    assert ("has no band" in out) == (name != "stretched")
    assert [line for line in out.splitlines() if line.startswith("other ")]


@pytest.mark.parametrize(
    ("autocorrelation", "deviation", "warns"), [(0.9, 0.05, True), (0.5, 0.05, False), (0.9, 1e-9, False)]
)
def test_show_warns_of_correlated_residuals(tmp_path, capsys, autocorrelation, deviation, warns):
    """Beyond 1.96 / sqrt(6) = 0.8, where there is noise at all."""
    raw = json.loads((EXAMPLES / "valid" / "stretched.json").read_text())
    raw["retention"] |= {"autocorrelation": autocorrelation, "deviation": deviation}
    raw["digest"] = digest({name: value for name, value in raw.items() if name != "digest"})
    (tmp_path / "laws.json").write_text(json.dumps(raw))
    assert main(["laws", "show", str(tmp_path / "laws.json")]) == 0
    told = "WARNING: residuals are correlated by 0.9, beyond 1.96 / sqrt(6) = 0.8, "
    assert (told in capsys.readouterr().out) == warns


@pytest.mark.parametrize("kind", ["flat", "faster"])
def test_show_does_not_call_simulated_what_was_set(kind, tmp_path, capsys):
    path = tmp_path / "laws.json"
    Laws.load(EXAMPLES / "valid" / "stretched.json").perturbed(kind, factor=3.0).save(path)
    assert main(["laws", "show", str(path), "--total", "4"]) == 0
    out = capsys.readouterr().out
    numbers = "" if kind == "flat" else "; factor 3"
    assert out.startswith(f"Perturbed on purpose: {kind} ({PERTURBATIONS[kind]}{numbers}); ")
    rows = [line.split() for line in out.splitlines() if line.startswith("4 ")]
    assert [" ".join(row[4:]) for row in rows] == ["perturbed weights" if kind == "flat" else "set"] * 3
    assert "nothing repeats" not in out


def test_show_calls_trained_what_training_moved(tmp_path, capsys):
    path = tmp_path / "laws.json"
    Laws.load(EXAMPLES / "valid" / "exponential.json").with_parameters({"tau": 5.0}, "trained, from the law").save(path)
    assert main(["laws", "show", str(path), "--total", "4"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("4 ")]
    assert [row[-1] for row in rows] == ["trained"] * 3


def test_show_says_where_the_number_of_parameters_decides(tmp_path, capsys):
    told = " leave residuals below 0.1 % of the rise, too small to choose by"
    run = simulate("ltp", cycles=12, burn_in=3, dt=0.05)
    for family, ending in (
        (None, ");"),
        ("stretched_exponential", "; exponential has the lowest AICc);"),
    ):
        fit_laws(run, family, draws=0).save(tmp_path / "laws.json")
        assert main(["laws", "show", str(tmp_path / "laws.json")]) == 0
        assert told + ending in capsys.readouterr().out
    assert main(["laws", "show", str(EXAMPLES / "valid" / "stretched.json")]) == 0
    assert told not in capsys.readouterr().out


VARY = ["--range", "tau_p_l=50:70", "--range", "beta=1.8:2.2", "--set", "cycles=12", "--set", "dt=0.05"]


def test_sensitivity_tells_keeps_and_draws_what_moves_the_law(tmp_path, capsys):
    out, figure = tmp_path / "s.json", tmp_path / "s.png"
    assert main(["laws", "sensitivity", *VARY, "--size", "2", "--out", str(out), "--figure", str(figure)]) == 0
    told, err = capsys.readouterr()
    assert err == ""
    found = Sensitivity.load(out)
    assert told.splitlines()[0].split() == ["of", "parameter", "elasticity", "mean", "size", "+-", "spread"]
    assert f"RetentionFactor(1, 16)   tau_p_l    {found.effects[0].mean:.3f}" in told
    assert told.endswith(f"macro, bounded, {found.family} law, 6 simulations\n")
    assert figure.stat().st_size > 10_000


def test_match_tells_the_nearest_simulation_and_keeps_it(tmp_path, capsys):
    out, laws = tmp_path / "near.nc", tmp_path / "laws.json"
    fit_laws(simulate("ltp", cycles=12, dt=0.05), draws=0).save(laws)
    words = ["laws", "match", str(laws), *VARY, "--total", "8", "--generations", "1"]
    assert main([*words, "--out", str(out)]) == 0
    told, _ = capsys.readouterr()
    assert [line.split()[0] for line in told.splitlines()[:3]] == ["parameter", "tau_p_l", "beta"]
    assert told.splitlines()[-2].startswith("distance left ")
    assert told.splitlines()[-1] == "searched: macro, bounded; the law itself is of: macro, linear"
    near = read(out)
    assert f"{near.attrs['experiment']} {near.attrs['model']}" == "ltp macro"
    assert main(["fit", str(out), "--out", str(tmp_path / "near.json")]) == 0
