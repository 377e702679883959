"""The memory rules: what each makes of the retention law."""

import numpy as np
import pytest
import torch

from astro_sim.common.errors import InputError
from bridge.torch import Retention
from rmaat.memory import factors, update


def test_scale_takes_the_retention_factor_of_each_examples_own_length(laws):
    table = factors("scale", Retention(laws), [5, 2, 1], 5)
    # The same formulas in torch: rounding alone.
    np.testing.assert_allclose(table[0], laws.retention(5), rtol=1e-13)
    np.testing.assert_allclose(table[1, :2], laws.retention(2), rtol=1e-13)
    assert table[2, 0] == 1.0
    assert (table[1, 2:] == 1.0).all()


def test_consolidate_needs_no_length(laws):
    table = factors("consolidate", Retention(laws), [5, 2], 5)
    np.testing.assert_allclose(table[0], [laws.retention(t)[-1] for t in range(1, 6)], rtol=1e-13)
    assert torch.equal(table[0, :2], table[1, :2])


def test_reversed_laws_are_asked_for_each_examples_own_length(laws):
    turned = laws.perturbed("reversed")
    table = factors("consolidate", Retention(turned), [5, 2], 5)
    for row, total in zip(table, [5, 2], strict=True):
        np.testing.assert_allclose(row[:total], turned.online(total), rtol=1e-13)
    assert table[0, 1] != table[1, 1]


def test_consolidated_memory_is_the_retention_weighted_sum(laws):
    """After T segments: sum_i RetentionFactor(i, T) mem'_{i+1}, whatever mem_1 was."""
    written = torch.randn(16, 2, 3, 4, dtype=torch.float64)
    memory = torch.randn(2, 3, 4, dtype=torch.float64)
    table = factors("consolidate", Retention(laws), [16, 16], 16)
    active = torch.ones(2, dtype=torch.bool)
    for t in range(16):
        memory = update("consolidate", memory, written[t], table[:, t], active)
    weights = torch.from_numpy(laws.retention(16))
    # 16 multiply-adds of numbers of order one in float64.
    torch.testing.assert_close(memory, torch.einsum("t,tbmd->bmd", weights, written), rtol=0, atol=1e-14)


def test_rules_on_one_step():
    memory, written = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    factor, active = torch.tensor([0.25], dtype=torch.float64), torch.tensor([True])
    assert torch.equal(update("scale", memory, written, factor, active), 0.25 * written)
    assert torch.equal(update("consolidate", memory + 1, 3 * written, factor, active), 1.5 * written)
    assert torch.equal(update("none", memory, written, factor, active), written)


@pytest.mark.parametrize("rule", ["scale", "consolidate", "none"])
def test_a_segment_of_padding_leaves_the_memory(rule):
    memory, written = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    after = update(rule, memory, written, torch.tensor([0.5, 0.5]), torch.tensor([True, False]))
    assert torch.equal(after[1], memory[1])
    assert not torch.equal(after[0], memory[0])


@pytest.mark.parametrize("rule", ["scale", "consolidate"])
def test_rules_that_need_laws_say_so(rule):
    with pytest.raises(InputError, match=f"memory_rule: '{rule}' needs laws"):
        factors(rule, None, [1], 1)
    assert torch.equal(factors("none", None, [2], 2), torch.ones(1, 2, dtype=torch.float64))


def test_a_memory_without_a_rule_holds_itself_alone():
    """A view of all rows of the segment would keep them in memory until the backward pass."""
    rows = torch.randn(2, 50, 4)
    after = update("none", torch.randn(2, 3, 4), rows[:, :3], torch.ones(2))
    assert after.untyped_storage().nbytes() == 2 * 3 * 4 * 4
