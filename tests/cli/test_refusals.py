"""One clear line with exit status 2 for every kind of bad input, and help for every command."""

import pytest
import typer

from rmaat.__main__ import app, main
from tests.cli.words import train

# A command, and what the one line about it must say. {line} has what the whole line left behind,
# {broken} what was broken on purpose; SHORT are beginnings of commands.
BAD = [
    ("simulat", "No such command 'simulat'. Did you mean 'simulate'?"),
    ("simulate ltp --uot x", "No such option: --uot"),
    ("simulate ltp --out x.nc --seed x", "'--seed'"),
    ("simulate ltp", "simulate: expected --out X.nc"),
    ("simulate lpt --out x.nc", "unknown experiment 'lpt'; did you mean 'ltp'?"),
    ("simulate ltp --model marco --out x.nc", "unknown model 'marco' for the experiment 'ltp'; did you mean 'macro'?"),
    ("simulate ltp --out x.nc --set tau_pl=3", "unknown setting 'tau_pl'; did you mean 'tau_p_l'?"),
    ("simulate ltp --out x.nc --set tau_s=-1", "tau_s: expected greater than 0 (s), got -1"),
    ("simulate ltp --out x.nc --set tau_s", "--set 'tau_s': expected NAME=VALUE"),
    ("simulate ltp --out x.nc --set interval=1e-9", "interval: 6e+10 samples; expected at most 1e+08"),
    ("simulate ltp --out /proc/x.nc", "/proc/x.nc: "),  # before the run
    ("simulate network --out x.nc --set window=1e9", "dt: 4e+13 steps; expected at most 1e+09"),  # before it is built
    (
        "simulate waves --out x.nc --set knockouts=gliotransmission",
        "knockouts: expected a list, as in [\"gliotransmission\"], got 'gliotransmission'",
    ),
    (
        "fit {line}/stp.nc --out x.json",
        "expected an 'ltp' dataset (variable 'p_l_cycle') to fit the retention law to; got none",
    ),
    ("fit {broken}/cut.ltp.nc --out x.json", "cut.ltp.nc: not a readable netCDF file, perhaps truncated"),
    ("fit {line} --out x.json", ": a folder; expected a dataset (.nc), such as "),
    (
        "fit {line}/laws.json --out x.json",
        "laws.json: not a netCDF 4 (HDF5) file; expected a dataset that rmaat simulate wrote (.nc)",
    ),
    ("fit no.nc --out x.json", "no.nc: no such dataset"),
    (
        "fit {line}/ltp.nc --family exponental --out x.json",
        "unknown law family 'exponental'; did you mean 'exponential'?",
    ),
    ("fit {line}/ltp.nc --out {line}/ltp.nc", "ltp.nc: expected a name that ends in .json"),
    ("fit {line}/ltp.nc --draws 0 --family exponential --out {line}/stp.nc/laws.json", "stp.nc"),
    ("laws show {line}/ltp.nc", "ltp.nc: a netCDF dataset; expected a laws file (JSON)"),
    ("data listop --out x", "unknown task 'listop'; did you mean 'listops'?"),
    (
        "data listops --source {broken}/lra --out x",
        "basic_test.tsv, line 5: expected 2 fields separated by tabs (Source, Target), got 1",
    ),
    ("TRAIN --laws {line}/ltp.nc", "ltp.nc: a netCDF dataset; expected a laws file (JSON)"),
    ("TRAIN --laws {broken}/version.json", "version.json: laws schema 9; this version reads 2"),
    ("TRAIN --laws {broken}/extra.json", "extra.json: unknown setting 'colour' of LawsDocument"),
    ("TRAIN --laws {broken}/cut.laws.json", "cut.laws.json: not a laws file"),
    ("TRAIN --laws {broken}/other.json --out {line}/run --resume", "run: started with other laws"),
    ("TRAIN --out {line}/run", "run: exists already"),
    (
        "TRAIN --data nowhere",
        "nowhere: no data folder (manifest.json is missing); make it with: rmaat data listops --out nowhere",
    ),
    ("TRAIN --config no.toml", "no.toml: no such settings file"),
    ("TRAIN --set step=3", "unknown setting 'step'; did you mean 'steps'?"),
    ("TRAIN --set perturbed=flat", "unknown setting 'perturbed'; did you mean 'laws.perturbed'?"),
    ("TRAIN --set laws.perturbed=posterior", "these laws have no spread to draw from: "),
    (
        "TRAIN --set seed=99999999999999999999",
        "seed: expected less than or equal to 9223372036854775807, got 99999999999999999999",
    ),
    ("TRAIN --model rmmt", "unknown model 'rmmt'; did you mean 'rmt'?"),
    (
        "TRAIN --model retnet --set readout=memory --set match_parameters=false",
        "readout: 'memory' needs a model with memory, and 'retnet' has none",
    ),
    ("evaluate nowhere", "nowhere: no such run folder"),
    ("evaluate {line}/laws.json", "laws.json: a file; expected a run folder, as rmaat train makes it"),
    ("evaluate {broken}/pickled", "model.safetensors: not a readable safetensors file"),
    ("inspect nowhere", "nowhere: no such run folder"),
    ("inspect {line}/laws.json", "laws.json: a file; expected a run folder, as rmaat train makes it"),
    ("inspect {line}/run --examples 0", "examples: expected at least 1, got 0"),
    ("models --head tag", "head: expected 'classify', 'match' or 'language', got 'tag'"),
    ("models --set classes=5", "classes: expected as an option of its own, --classes"),
    ("models --set segment_length=0", "segment_length: expected greater than or equal to 1 (tokens), got 0"),
    ("report nowhere --out x.html", "nowhere: "),
    ("report {line}/run --out {line}/run/run.json", "run.json: expected a name that ends in .html"),
    ("bench amrb-memry", "unknown benchmark 'amrb-memry'; did you mean 'amrb-memory'?"),
    ("laws sensitivity --range beta", "--range 'beta': expected NAME=LOW:HIGH"),
    ("laws sensitivity --out s.txt", "s.txt: expected a name that ends in .json"),
    ("laws sensitivity --figure s.gif", "s.gif: expected a name that ends in .pdf, .png, .svg"),
    ("laws sensitivity --set ltp_dynamics=linear", "ltp_dynamics: the law of the linear macro model is"),
    ("laws match {line}/laws.json --out near.json", "near.json: expected a name that ends in .nc"),
    ("laws match {line}/laws.json --model micro", "unknown model 'micro' of ltp"),
    ("laws match nowhere.json", "nowhere.json: no such laws file"),
    ("SWEEP tau_pl=1,2", "grid: unknown setting 'tau_pl'; did you mean 'tau_p_l'?"),
    ("SWEEP tau_s=1:2", "tau_s: expected a sequence of values, 'a:b:n' or 'a:b:n:log', got '1:2'"),
    ("SWEEP tau_s", "--sweep 'tau_s': expected NAME=a:b:n"),
    ("SWEEP tau_s=1,-1", "tau_s: expected greater than 0 (s), got -1"),
    ("SWEEP dt=1,2", "every point of the sweep failed; the first: dt: expected at most 0.109 s"),
    ("SWEEP tau_s=1,2 --set tau_s=1", "tau_s: both swept and fixed; expected one of the two"),
    ("SWEEP tau_s=1,2 --workers 0", "workers: expected a whole number from 1, got 0"),
    pytest.param(
        "SWEEP tau_s=1,2 --dask tcp://127.0.0.1:9",
        "dask: no scheduler answers at 'tcp://127.0.0.1:9'",
        marks=pytest.mark.slow,
    ),
    ("simulate ltp --out X.nc --dask local", "simulate: --dask and --workers are for sweeps; expected --sweep NAME="),
    ("simulate ltp --out X.nc --workers 2", "simulate: --dask and --workers are for sweeps"),
    ("figure", "figure: expected a NAME and --out F.pdf; rmaat figure --list lists the names"),
    ("figure lra", "figure: expected a NAME and --out F.pdf"),
    ("figure lra --out figure.gif", "figure.gif: expected a name that ends in .pdf, .png, .svg"),
    ("figure lra nothing.json --out figure.pdf", "nothing.json: no such file or folder"),
    ("FIGURE retentoin", "unknown figure 'retentoin'; did you mean 'retention'?"),
    (
        "FIGURE layouts",
        "layouts: no stp dataset (macro model) among the given paths; make one with: rmaat simulate stp",
    ),
    (
        "FIGURE waves",
        "waves: no waves dataset (biophysical model) among the given paths; make one with: rmaat simulate waves --mod",
    ),
    (
        "FIGURE influence",
        "influence: no run folder among the given paths; make one with: rmaat train, then rmaat inspect",
    ),
    ("FIGURE lra", "lra: no table lra.json among the given paths; make one with: rmaat reproduce lra"),
    (
        "FIGURE memory",
        "memory: no table amrb-memory.json among the given paths; make one with: rmaat bench amrb-memory --out DIR",
    ),
    ("compare nowhere", "nowhere: no such file or folder; expected run folders"),
    ("compare {line}/run", "one arm only: rmaat (seeds 0); expected runs that differ in more than the seed"),
    ("compare", "Missing argument 'RUN...'; see rmaat compare --help"),
]


SHORT = {"SWEEP": "simulate ltp --out X.nc --sweep {}", "FIGURE": "figure {} {{line}}/laws.json --out figure.png"}


@pytest.mark.parametrize(("command", "message"), BAD)
def test_a_command_is_refused_in_one_line_and_nothing_is_written(
    command, message, line, broken, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("astro_sim.sweeps.cluster.PATIENCE", 1)
    verb, _, rest = command.partition(" ")
    words = SHORT.get(verb, verb + " {}").format(rest).format(line=line, broken=broken).split()
    if verb == "TRAIN":  # of what is given twice, the last counts
        words = [*train(line), *words[1:]]
    before = {path: path.read_bytes() for path in line.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("rmaat: ")
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []
    assert {path: path.read_bytes() for path in line.rglob("*") if path.is_file()} == before


def every_command(command=None, name=()):
    """Names of all commands of the front door."""
    command = command or typer.main.get_command(app)
    for word, one in getattr(command, "commands", {}).items():
        yield from every_command(one, (*name, word)) if hasattr(one, "commands") else [(*name, word)]


@pytest.mark.parametrize("name", [*every_command()], ids=" ".join)
def test_every_command_has_help_with_an_example(name, capsys):
    assert main([*name, "--help"]) == 0
    assert f"Example: rmaat {' '.join(name)} " in " ".join(capsys.readouterr().out.split())
