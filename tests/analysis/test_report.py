"""The page: self-contained, complete, honest about what is missing."""

import re
import shlex
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import astro_sim
import bridge
from analysis import build_report
from analysis.collect import Inputs, collect
from analysis.report.explorer import COMMAND
from analysis.report.page import sections
from analysis.report.parts import Plot, Plots
from analysis.report.runs import run_sentence
from analysis.report.summary import ALONE, GLOSSARY, NOTHING, QUESTIONS, answers, glossary, not_given
from astro_sim.common.settings import parse_assignments
from bridge.laws import Laws
from rmaat.records import read_run
from tests.analysis.handmade_runs import EVALUATION

SECTIONS = ["summary", "stp", "ltp", "retention", "training", "memory", "results", "provenance"]
# Tags that never have an end.
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Tags with their attributes, headings, text outside scripts, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.styles = ""
        self.codes: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "code":
            self.codes.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["code"]:
            self.codes[-1] += data
        if "style" in self.open:
            self.styles += data
        elif "script" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def parsed(page: str) -> Page:
    return Page(page)


def shown(folder: Path, *paths: Path) -> str:
    """Text of the report of ``paths``, white space made single."""
    build_report(paths, folder / "report.html")
    return " ".join(Page((folder / "report.html").read_text(encoding="utf-8")).text.split())


def plots_of(*paths: Path) -> list[Plot]:
    found: list[Plot] = []
    for section in sections(collect(paths)):
        for part in section.parts:
            found += part.plots if isinstance(part, Plots) else [part] if isinstance(part, Plot) else []
    return found


def test_it_is_one_file_below_8_mb_with_plotly_once(page: str) -> None:
    assert len(page.encode()) < 8_000_000
    assert page.count("* plotly.js v") == 1


def test_nothing_points_outside_the_page(parsed: Page) -> None:
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert name not in attributes or attributes[name].startswith(("#", "data:")), (tag, attributes)
    assert "url(" not in parsed.styles
    assert "@import" not in parsed.styles
    (policy,) = [m["content"] for m in parsed.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert {"rel": "icon", "href": "data:,"} in parsed.all("link")


def test_every_section_is_there_and_linked(parsed: Page) -> None:
    assert [section["id"] for section in parsed.all("section")] == SECTIONS
    assert [a["href"] for a in parsed.all("a")] == [f"#{name}" for name in SECTIONS]


def test_landmarks_and_headings_in_order(parsed: Page) -> None:
    assert not parsed.open
    counted = Counter(tag for tag, _ in parsed.tags)
    assert [counted[tag] for tag in ("header", "nav", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert max(np.diff(levels)) <= 1


def test_ids_are_unique(parsed: Page) -> None:
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_figure_and_table_says_what_it_is(parsed: Page) -> None:
    captions = [attributes["id"] for attributes in parsed.all("figcaption")]
    figures = [attributes for _, attributes in parsed.tags if attributes.get("role") == "img"]
    assert [attributes["aria-labelledby"] for attributes in figures] == captions
    assert len(captions) == len(parsed.all("figure")) >= 10
    assert len(parsed.all("table")) == Counter(t for t, _ in parsed.tags)["caption"]
    assert {th["scope"] for th in parsed.all("th")} == {"col", "row"}


def test_it_follows_the_readers_scheme_and_prints(parsed: Page) -> None:
    assert "@media (prefers-color-scheme: dark)" in parsed.styles
    assert "@media print" in parsed.styles


def test_the_same_files_give_the_same_page(made: Path, tmp_path: Path) -> None:
    pages = []
    for _ in range(2):
        build_report([made / "ltp.nc", made / "laws.json"], tmp_path / "report.html")
        pages.append((tmp_path / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_summary_of_law_and_run(parsed: Page, laws: Laws) -> None:
    text = " ".join(parsed.text.split())
    assert f"tau = {laws.parameters['tau']:.4g} cycles" in text
    assert "= 6 cycles" in text  # what linear dynamics must end in
    assert "T = 8, 16, 32 is extrapolated" in text
    for told in (
        "memory rule consolidate, backward amrb, presynaptic exponent 0.25, 123,456 parameters, seed 3",
        "32.1 % of 2,000 examples (95 % interval 30.1 % to 34.2 %) on the test split after 400 steps",
        "15.2 points above the majority class at 17.0 %",
        "the first symbol alone reaches 31.5 %, so this accuracy shows no use of memory",
        "1,999 tokens, T = 16 segments of 128; beyond the 6 simulated cycles",
    ):
        assert told in text


def test_accuracy_within_sampling_error_of_the_majority_is_called_that(laws: Laws, tmp_path: Path, write_run) -> None:
    for name, accuracy, within in (("like", 0.17, True), ("above", 0.32, False), ("below", 0.1, False)):
        run = read_run(write_run(tmp_path / name, laws, evaluation={**EVALUATION, "accuracy": accuracy}))
        told = run_sentence(name, run)
        assert ("within sampling error" in told) == within
        assert ("below the majority" in told) == (name == "below")


def test_the_summary_answers_four_questions(made: Path, parsed: Page, datasets: dict[str, xr.Dataset]) -> None:
    found = answers(collect([made]))
    assert list(found) == list(QUESTIONS)
    text = " ".join(parsed.text.split())
    assert all(" ".join(sentence.split()) in text for group in found.values() for sentence in group)
    cycles, layouts = found["What the astrocyte did"]
    ends = datasets["ltp"]["p_l_cycle"].mean(("post", "pre")).values
    share = 100 * (ends[-1] - ends[-2]) / np.diff(ends).max()
    assert f"Over 6 cycles slow calcium pˡ goes from 0 to {ends[-1]:.3g} a.u.; the last adds {share:.0f}" in cycles
    assert "by 0 % in the layout equidistant and by 14 % in line" in layouts.replace("\N{NO-BREAK SPACE}", " ")
    assert found["What the model made of it"][0].startswith("Run done: rmaat on listops")
    assert found["How sure we are"][-1] == ALONE
    assert list(answers(Inputs(laws=collect([made / "laws.json"]).laws))) == [QUESTIONS[1], QUESTIONS[3]]


def test_the_summary_tells_verdicts_or_why_there_is_none(laws: Laws, tmp_path: Path, write_run) -> None:
    for name, model, accuracy in (("one", "rmaat", 0.4), ("other", "rmt", 0.3), ("again", "rmaat", 0.4)):
        write_run(tmp_path / name, laws, evaluation={**EVALUATION, "accuracy": accuracy}, model=model)
    runs = [read_run(tmp_path / name) for name in ("one", "other", "again")]
    (verdict,) = answers(Inputs(runs=runs[:2]))["How sure we are"]
    assert "the run of rmaat is better than that of rmt by 10.0 points" in verdict
    (told,) = answers(Inputs(runs=runs))["How sure we are"]
    assert told.startswith("On listops: not compared: ")
    assert "a second time" in told


def test_a_perfect_fit_is_told(tmp_path: Path) -> None:
    exact = bridge.fit_laws([astro_sim.simulate("ltp", cycles=8, burn_in=12)], draws=0)
    exact.save(tmp_path / "laws.json")
    text = shown(tmp_path, tmp_path / "laws.json")
    assert "R²1 (to within 1e\N{MINUS SIGN}9)" in text
    assert "T = 16, 32 is extrapolated" in text


def test_enough_cycles_leave_nothing_extrapolated(tmp_path: Path) -> None:
    bridge.fit_laws([astro_sim.simulate("ltp", cycles=32)], draws=0).save(tmp_path / "laws.json")
    text = shown(tmp_path, tmp_path / "laws.json")
    assert "every T shown, up to 32, lies within them" in text
    assert "is extrapolation" not in text


def test_a_law_that_is_not_concave_is_announced(tmp_path: Path) -> None:
    bridge.fit_laws([astro_sim.simulate("ltp")], family="stretched_exponential", draws=0).save(tmp_path / "laws.json")
    text = shown(tmp_path, tmp_path / "laws.json")
    assert "NOT concave: the largest increment is that of cycle 1" in text


def test_results_stand_beside_the_papers_and_say_they_do_not_compare(parsed: Page) -> None:
    text = " ".join(parsed.text.split())
    assert "These runs are NOT comparable to the paper's" in text
    cells = ["32.1 %", "30.1 % to 34.2 %", "17.0 %", "31.5 %", "38.9 %", "−6.8", "no: 24,000 of 96,000 training"]
    assert "".join(cells) in text
    assert "memory rule consolidate, the paper's is scale; small: width 64, depth 2, steps 400; one seed" in text


def test_a_half_finished_run_says_what_is_missing(parsed: Page, made: Path) -> None:
    text = " ".join(parsed.text.split())
    assert "half: not finished (model.safetensors is missing); continue with: rmaat train listops" in text
    assert f"not evaluated (evaluation.json is missing); make it with: rmaat evaluate {made}/runs/half" in text
    assert "Run half: rmaat on listops" in text


def test_what_was_not_given_comes_with_the_command_that_makes_it(made: Path, tmp_path: Path) -> None:
    text = shown(tmp_path, made / "frequency.nc")
    for command in (
        "rmaat simulate stp --out stp.nc",
        "rmaat simulate spatial --out spatial.nc",
        "rmaat simulate ltp --out ltp.nc",
        "rmaat fit ltp.nc --out laws.json",
        COMMAND,
        "rmaat train listops --laws laws.json --out RUN, then rmaat evaluate RUN and rmaat inspect RUN",
    ):
        assert text.count(command) == 1
    found = {section.anchor: section for section in sections(collect([made / "frequency.nc"]))}
    assert list(found) == ["summary", "stp", "provenance"]  # a section for what is there, and no box for what is not
    nothing, absent = found["summary"].parts
    assert nothing.text == NOTHING
    assert absent.note
    assert absent.text.startswith("Not given, so left out: One stimulation cycle, by layout (rmaat simulate stp")
    assert not [part for part in found["stp"].parts if getattr(part, "note", False)]
    assert not not_given(collect([made, _sweep(tmp_path)]))
    assert "no fit to it among the given laws" in text
    assert "rmaat simulate frequency --out frequency.nc" not in text


def _sweep(folder: Path) -> Path:
    astro_sim.write(astro_sim.sweep("ltp", {"tau_p_l": [30.0, 60.0]}, interval=1.0), folder / "sweep.nc")
    return folder / "sweep.nc"


def test_words_are_explained_where_the_summary_uses_them(made: Path, parsed: Page) -> None:
    words = glossary(answers(collect([made])))
    assert words == [meaning for word, meaning in GLOSSARY.items() if word != "AICc"]  # nothing here was chosen by it
    assert glossary({"": ["with the lowest AICc of 6 families"]}) == [GLOSSARY["AICc"]]
    text = " ".join(parsed.text.split())
    assert all(meaning in text for meaning in words)
    assert "slope 0.062" in text
    assert glossary({"": ["Calcium does not oscillate."]}) == []
    laws = glossary(answers(Inputs(laws=collect([made / "laws.json"]).laws)))
    assert not any(each.startswith("Memory rule") for each in laws)


def test_a_folder_named_run_goes_by_the_folder_around_it(laws: Laws, tmp_path: Path, write_run) -> None:
    runs = [read_run(write_run(tmp_path / name, laws)) for name in ("demo/run", "other/run", "third")]
    assert [label for label, _ in Inputs(runs=runs).named_runs] == ["demo/run", "other/run", "third"]
    assert answers(Inputs(runs=runs))["What the model made of it"][1].startswith("Run other/run: rmaat")


def test_a_run_that_has_only_begun(made: Path, laws: Laws, tmp_path: Path, write_run) -> None:
    run = write_run(tmp_path / "run", laws, finished=False, model="unknown")
    (run / "metrics.jsonl").unlink()
    text = shown(tmp_path, run)
    assert "run: no logged steps yet (metrics.jsonl is missing or empty)" in text
    assert "no such entry in the paper's table" in text


def test_names_cannot_break_out_of_the_page(laws: Laws, tmp_path: Path, write_run) -> None:
    run = write_run(tmp_path / "<b>bold", laws, model="</script><script>alert(1)</script>", task="<i>odd")
    build_report([run], tmp_path / "report.html", title="<u>title")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"b", "i", "u"} & {tag for tag, _ in page.tags}
    assert "alert(1)" in page.text
    assert "<script>alert" not in text


def test_commands_recreate_every_dataset(made: Path, parsed: Page) -> None:
    """The printed command, parsed as the command line would, gives back the digest."""
    commands = [code for code in parsed.codes if code.startswith("rmaat simulate ")]
    assert len(commands) == 4
    for command in commands:
        words = shlex.split(command.replace("\\\n", ""))  # a shell joins such lines, shlex does not
        name, options = words[2], list(zip(words[3::2], words[4::2], strict=True))
        given = dict(options)
        sets = parse_assignments(value for option, value in options if option == "--set")
        again = astro_sim.simulate(name, given["--model"], int(given["--seed"]), **sets)
        assert given["--out"] == str(made / f"{name}.nc")
        assert again.attrs["digest"] == astro_sim.read(made / f"{name}.nc").attrs["digest"]


def test_commands_of_laws_and_runs(made: Path, parsed: Page) -> None:
    sources = " ".join(str(made / f"{name}.nc") for name in ("ltp", "spatial", "frequency"))
    assert f"rmaat fit {sources} --out {made / 'laws.json'}" in parsed.codes
    (train,) = [code for code in parsed.codes if code.startswith("rmaat train") and "runs/done" in code]
    assert f"--laws {made / 'laws.json'} --data data/listops --out {made / 'runs' / 'done'} --model rmaat" in train
    assert "--set learning_rate=0.002" in train
    assert train.endswith(f"\nrmaat evaluate {made / 'runs' / 'done'}")


def test_it_needs_neither_torch_nor_a_simulator() -> None:
    heavy = ("torch", "numba", "lmfit", "matplotlib.pyplot")
    code = f"import sys, analysis.report.page, analysis.figures; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_trace_has_more_than_2000_points(tmp_path: Path, laws: Laws, write_run) -> None:
    long = astro_sim.simulate("ltp", cycles=128, interval=0.05)
    astro_sim.write(long, tmp_path / "in" / "ltp.nc")
    bridge.fit_laws([long], draws=0).save(tmp_path / "in" / "laws.json")
    write_run(tmp_path / "in" / "run", laws)
    assert long.sizes["time"] > 20_000
    counts = [len(trace.x) for plot in plots_of(tmp_path / "in") for trace in plot.figure.data]
    assert 1000 < max(counts) <= 2000
    build_report([tmp_path / "in"], tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 8_000_000


def test_many_synapses_are_drawn_as_a_range(tmp_path: Path) -> None:
    astro_sim.write(astro_sim.simulate("stp", n=6, layouts=["random"]), tmp_path / "stp.nc")
    (plot,) = plots_of(tmp_path / "stp.nc")
    assert [trace.name for trace in plot.figure.data] == ["range over synapses", "mean over synapses"]


def test_figures_draw_the_data(made: Path, laws: Laws) -> None:
    plots = {plot.caption: plot.figure for plot in plots_of(made)}
    fit = next(figure for name, figure in plots.items() if "exponential law over pˡ" in name)
    drawn = {trace.name: trace for trace in fit.data}
    law = laws.document.retention
    np.testing.assert_allclose(drawn["simulated, cycle ends"].y, [law.start, *law.samples], rtol=1e-6)
    np.testing.assert_allclose(drawn["data minus law"].y, law.residuals, rtol=1e-6)
    assert drawn["law, extrapolated"].line.dash == "dash"
    assert drawn["law, extrapolated"].x[0] == laws.fitted_cycles
    factors = next(figure for name, figure in plots.items() if "share of the total rise" in name)
    lines = {trace.name: trace for trace in factors.data}
    np.testing.assert_allclose(lines["T = 4"].y, laws.retention(4), rtol=1e-6)
    assert lines["T = 4"].line.dash == "solid"
    assert lines["T = 16 (extrapolated)"].line.dash == "dash"


def test_the_fitted_lines_pass_through_their_data(made: Path) -> None:
    """Decay and exponent come from the laws file, the intercept from the data: the least-squares line."""
    found = {plot.caption[:12]: plot.figure for plot in plots_of(made)}
    for start, points, log in (
        ("Peak fast ca", "process", False),
        ("Calcium prox", "mean over synapses", True),
    ):
        data = {trace.name.split(":")[0]: trace for trace in found[start].data}
        x, y = np.array(data[points].x, dtype=float), np.log(np.array(data[points].y, dtype=float))
        at, fit = np.array(data["fit"].x, dtype=float), np.log(np.array(data["fit"].y, dtype=float))
        slope, intercept = np.polyfit(np.log(x) if log else x, y, 1)
        np.testing.assert_allclose(fit, intercept + slope * (np.log(at) if log else at), atol=1e-4)
