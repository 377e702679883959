"""The memory rules: what each makes of the retention law."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge.retention import Retention
from rmaat.models import memory
from rmaat.models.memory import RULES
from tests.rmaat.refusals import refuses

ROOT = Path(__file__).parents[2]
SCALE, CONSOLIDATE, NONE = RULES[memory.PAPER], RULES[memory.DEFAULT], RULES[memory.NONE]


def test_scale_takes_the_retention_factor_of_each_examples_own_length(laws):
    table = SCALE.factors(Retention(laws), [5, 2, 1], 5)
    # The same formulas in torch: rounding alone.
    np.testing.assert_allclose(table[0], laws.retention(5), rtol=1e-13)
    np.testing.assert_allclose(table[1, :2], laws.retention(2), rtol=1e-13)
    assert table[2, 0] == 1.0
    assert (table[1, 2:] == 1.0).all()


def test_consolidate_needs_no_length(laws):
    table = CONSOLIDATE.factors(Retention(laws), [5, 2], 5)
    np.testing.assert_allclose(table[0], [laws.retention(t)[-1] for t in range(1, 6)], rtol=1e-13)
    assert torch.equal(table[0, :2], table[1, :2])
    assert CONSOLIDATE.needs_total(Retention(laws)) is None


def test_reversed_laws_are_asked_for_each_examples_own_length(laws):
    reversed_laws = Retention(laws.perturbed("reversed"))
    table = CONSOLIDATE.factors(reversed_laws, [5, 2], 5)
    for row, total in zip(table, [5, 2], strict=True):
        np.testing.assert_allclose(row[:total], reversed_laws.laws.online(total), rtol=1e-13)
    assert table[0, 1] != table[1, 1]
    assert CONSOLIDATE.needs_total(reversed_laws) == "reversed laws need"


def test_consolidated_memory_is_the_retention_weighted_sum(laws):
    """After T segments: sum_i RetentionFactor(i, T) mem'_{i+1}, whatever mem_1 was."""
    written = torch.randn(16, 2, 3, 4, dtype=torch.float64)
    held = torch.randn(2, 3, 4, dtype=torch.float64)
    table = CONSOLIDATE.factors(Retention(laws), [16, 16], 16)
    for t in range(16):
        held = CONSOLIDATE.update(held, written[t], table[:, t, None, None])
    weights = torch.from_numpy(laws.retention(16))
    # 16 multiply-adds of numbers of order one in float64.
    torch.testing.assert_close(held, torch.einsum("t,tbmd->bmd", weights, written), rtol=0, atol=1e-14)


def test_rules_on_one_step():
    held, written, factor = torch.zeros(1, 2, 2), torch.ones(1, 2, 2), torch.tensor(0.25)
    assert torch.equal(SCALE.update(held, written, factor), 0.25 * written)
    assert torch.equal(CONSOLIDATE.update(held + 1, 3 * written, factor), 1.5 * written)
    assert torch.equal(NONE.update(held, written, factor), written)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_stream_takes_the_factors_of_the_table(laws, rule):
    retention, total = Retention(laws), torch.tensor([5, 3])
    table = rule.factors(retention, total.tolist(), 5)
    for seen in range(3):
        here = rule.factor_at(retention, torch.full((2,), seen), total)
        assert torch.equal(here, table[:, seen])


@pytest.mark.parametrize("rule", [SCALE, CONSOLIDATE], ids=lambda rule: rule.name)
def test_rules_that_use_laws_say_so(rule):
    refuses(f"memory_rule: '{rule.name}' needs laws; give some, or choose \"none\"", rule.require_laws, None)
    NONE.require_laws(None)
    assert torch.equal(NONE.factors(None, [2], 2), torch.ones(1, 2, dtype=torch.float64))


def test_a_memory_without_a_rule_holds_itself_alone():
    """A view of all rows of the segment would keep them in memory until the backward pass."""
    rows = torch.randn(2, 50, 4)
    after = NONE.update(torch.randn(2, 3, 4), rows[:, :3], torch.ones(2, 1, 1))
    assert after.untyped_storage().nbytes() == 2 * 3 * 4 * 4


# --- one place for the decision


def compared(tree: ast.AST) -> list[int]:
    """Lines that compare something with a rule's name; with "none" where the other side speaks of a rule."""
    lines = []
    for node in ast.walk(tree):
        cases = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        cases += [node.pattern.value] if isinstance(node, ast.match_case) and hasattr(node.pattern, "value") else []
        constants = {leaf.value for case in cases for leaf in ast.walk(case) if isinstance(leaf, ast.Constant)}
        rule = any("rule" in ast.dump(case) for case in cases)
        if constants & (RULES.keys() if rule else RULES.keys() - {"none"}):
            lines.append(node.lineno if isinstance(node, ast.Compare) else node.pattern.lineno)
    return lines


def test_what_counts_as_a_comparison():
    text = 'a == "scale"\nb in ("x", "consolidate")\nc.memory_rule != "none"\nd == "none"\ne(memory_rule="none")\n'
    assert compared(ast.parse(text)) == [1, 2, 3]


def test_no_other_file_compares_names_of_rules():
    files = [path for room in ("bridge", "rmaat", "analysis") for path in (ROOT / room).rglob("*.py")]
    others = [path for path in files if path.name != "memory.py" or path.parent.name != "models"]
    assert len(others) > 50
    assert {str(path): lines for path in others if (lines := compared(ast.parse(path.read_text())))} == {}
