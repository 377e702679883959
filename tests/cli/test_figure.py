"""`rmaat figure`: by name, from given paths, from the project's results, or simulated."""

import json
from pathlib import Path

import numpy as np
import pytest

import astro_sim
import bridge
from analysis.figures import FIGURES, Sources, draw
from astro_sim.common.errors import InputError
from rmaat.__main__ import main
from tests.analysis import handmade
from tests.analysis.test_figures import lra_rows, points, recall_rows

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def laws(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("laws") / "laws.json"
    bridge.fit_laws([astro_sim.simulate("ltp", cycles=12, burn_in=3, tau_p_l=20.0)], draws=0).save(path)
    return path


def test_every_figure_is_listed_with_what_it_is_drawn_from(capsys):
    assert main(["figure", "--list"]) == 0
    told = capsys.readouterr().out
    for name, each in FIGURES.items():
        assert f"{name} " in told
        assert each.shows in told


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("macro-dynamics", "ltp, simulated (macro model)"),
        ("layouts", "stp, simulated (macro model)"),
        ("retention", "the project's own results/laws.json"),
        ("lra", "the project's own results/lra.json"),
        ("memory", "the project's own results/amrb-memory.json"),
        ("throughput", "the project's own results/model.json"),
        ("recall", "the project's own results/recall.json"),
        ("pathfinder", "generated pictures"),
    ],
)
def test_without_paths_it_is_simulated_or_drawn_from_the_projects_results(name, source, tmp_path, capsys):
    """And it says which."""
    out = tmp_path / "figure.png"
    assert main(["figure", name, "--out", str(out)]) == 0
    assert out.read_bytes().startswith(PNG)
    assert capsys.readouterr().out == f"{out}: {FIGURES[name].shows}; drawn from {source}\n"


def test_a_figure_says_which_of_the_given_paths_it_is_drawn_from(laws, tmp_path, capsys):
    for name, data in (("a", handmade.calcium()), ("b", handmade.scan())):
        astro_sim.write(data, tmp_path / f"{name}.nc")
    paths = [str(tmp_path / "a.nc"), str(tmp_path / "b.nc"), str(laws)]
    for name, path in (("bifurcation", paths[1]), ("ltp-law", str(laws))):
        assert main(["figure", name, *paths, "--out", str(tmp_path / "figure.png")]) == 0
        assert capsys.readouterr().out.endswith(f"; drawn from {path}\n")


def test_given_paths_are_what_is_drawn(laws, tmp_path):
    """Laws of another time constant than the project's; a table under a name of its own; a scan among calcium."""
    (axes, _) = draw("retention", Sources([laws])).axes
    np.testing.assert_allclose(axes.lines[1].get_ydata(), bridge.Laws.load(laws).retention(4))
    table = tmp_path / "mine.json"
    table.write_text(json.dumps({"rows": recall_rows()}))
    assert len(draw("recall", Sources([table])).axes) == 4
    for name, data in (("a", handmade.calcium()), ("b", handmade.scan())):
        astro_sim.write(data, tmp_path / f"{name}.nc")
    calcium = draw("bifurcation", Sources([tmp_path / "a.nc", tmp_path / "b.nc"])).axes[0]
    assert len(points(calcium, "led up")) == 4
    (tmp_path / "lra.json").write_text(json.dumps({"rows": lra_rows()}))
    both = Sources([tmp_path / "lra.json", table])
    assert len(both.rows("lra")) == len(lra_rows())
    assert len(draw("recall", Sources([tmp_path / "lra.json", laws, _named(table, "recall")])).axes) == 4


def test_ablated_runs_are_no_rows_of_the_models_table(tmp_path):
    rows = [{**lra_rows()[0], "name": "no retention", "accuracy": 0.1}, *lra_rows()]
    (tmp_path / "ablations.json").write_text(json.dumps({"rows": rows}))
    (axes,) = draw("lra", Sources([tmp_path / "ablations.json"])).axes
    assert 10.0 not in np.concatenate([line.get_ydata() for line in axes.lines])
    (tmp_path / "ablations.json").write_text(json.dumps({"rows": rows[:1]}))
    with pytest.raises(InputError, match="lra: no finished row of a whole model"):
        draw("lra", Sources([tmp_path / "ablations.json"]))


def test_tables_of_something_else_and_sweeps_are_refused_in_words(tmp_path):
    (tmp_path / "lra.json").write_text(json.dumps({"rows": lra_rows()}))
    with pytest.raises(InputError, match="recall: lra.json, row 1: expected 'training', of a table recall"):
        draw("recall", Sources([tmp_path / "lra.json"]))
    astro_sim.write(astro_sim.sweep("ltp", {"tau_p_l": [30, 60]}, cycles=6, interval=1.0), tmp_path / "sweep.nc")
    with pytest.raises(InputError, match=r"macro-dynamics: no ltp dataset .* \(.*sweep.nc: a sweep, of which a figure"):
        draw("macro-dynamics", Sources([tmp_path / "sweep.nc"]))


def test_the_overview_does_without_short_term_plasticity(laws, tmp_path):
    astro_sim.write(astro_sim.simulate("ltp", cycles=6), tmp_path / "ltp.nc")
    cycle = draw("overview", Sources([laws, tmp_path / "ltp.nc"])).axes[0]
    assert cycle.get_title(loc="left") == "a  First cycle"


def _named(table: Path, name: str) -> Path:
    return table.rename(table.with_name(f"{name}.json"))


def test_laws_are_needed_and_pictures_cannot_be_guessed(tmp_path):
    astro_sim.write(handmade.calcium(), tmp_path / "a.nc")
    with pytest.raises(InputError, match="retention: no laws file among the given paths; make one with: rmaat fit"):
        draw("retention", Sources([tmp_path / "a.nc"]))
    with pytest.raises(InputError, match="pathfinder: no picture of Pathfinder at hand"):
        draw("pathfinder", Sources())
    with pytest.raises(InputError, match="layouts: no stp dataset .macro model. at hand"):
        draw("layouts", Sources())
