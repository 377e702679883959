"""The kernel's own arithmetic: tanh against mpmath, and lanes that know nothing of each other."""

import math
import os
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest

from astro_sim.macro import kernel
from astro_sim.macro.kernel import WIDTH, tanh_of


def ulps(values):
    """Error of the kernel's tanh in units of the last place of the exact value, from 60 digits."""
    with mpmath.workdps(60):
        return [
            float(abs(mpmath.mpf(float(got)) - mpmath.tanh(mpmath.mpf(float(x)))) / mpmath.mpf(math.ulp(abs(got))))
            for x, got in zip(values, tanh_of(values), strict=True)
        ]


def test_tanh_is_within_four_ulp_of_the_exact_value(rng):
    spread = np.exp(rng.uniform(np.log(1e-3), np.log(25.0), 3000)) * rng.choice([-1.0, 1.0], 3000)
    edges = (np.arange(1, 60) - 0.5) * np.log(2.0) / 2  # where the reduction turns to the next k
    values = np.concatenate([spread, edges, np.nextafter(edges, 0.0), 0.35 * np.arange(60)])
    # 4 million arguments against 80-bit floats gave 3.6 at most
    assert max(ulps(values)) <= 4.0


def test_tanh_keeps_the_relative_accuracy_of_small_arguments():
    small = 10.0 ** np.arange(-300.0, -1.0)
    assert max(ulps(small)) <= 4.0
    tiny = np.array([5e-324, 1e-310, 2.2250738585072014e-308])  # at and below the smallest normal number
    np.testing.assert_array_equal(tanh_of(tiny), tiny)


def test_tanh_at_the_ends_of_the_numbers():
    np.testing.assert_array_equal(tanh_of(np.array([np.inf, -np.inf, 1e308, 22.5, -19.5])), [1, -1, 1, 1, -1])
    zeros = tanh_of(np.array([0.0, -0.0]))
    assert not zeros.any()
    assert np.signbit(zeros).tolist() == [False, True]
    assert np.isnan(tanh_of(np.array([np.nan, 1.0, -np.nan]))).tolist() == [True, False, True]


def test_tanh_is_odd_never_above_one_and_rises_but_for_its_error(rng):
    x = np.sort(rng.uniform(0.0, 25.0, 200_000))
    up = tanh_of(x)
    np.testing.assert_array_equal(tanh_of(-x), -up)
    assert up.max() == 1.0
    assert np.diff(up).min() >= -8 * np.finfo(float).epsneg  # two errors of 4 ulp below 1


def test_tanh_does_not_depend_on_the_lane(rng):
    x = rng.normal(size=5 * WIDTH)
    whole = tanh_of(x)
    for shift in range(WIDTH):
        np.testing.assert_array_equal(tanh_of(np.roll(x, shift)), np.roll(whole, shift))
    np.testing.assert_array_equal([tanh_of(x[k : k + 1])[0] for k in range(len(x))], whole)


def test_the_kernel_is_read_from_numbas_cache_in_a_new_process():
    """A custom type and intrinsics must not keep numba from caching: a second process compiles nothing."""
    code = (
        "import numpy as np\n"
        "from astro_sim.macro.kernel import advance\n"
        "from astro_sim.macro.parameters import MacroParameters\n"
        "from astro_sim.macro.solver import integrate\n"
        "integrate(np.zeros(5), np.array([0., 1.]), np.ones((1, 2)), np.zeros((1, 1, 1, 1)), MacroParameters(n=1))\n"
        "print(sum(advance.stats.cache_hits.values()), sum(advance.stats.cache_misses.values()))\n"
    )
    if not any(os.access(place, os.W_OK) for place in (Path(kernel.__file__).parent, Path.home())):
        pytest.skip("no place for a cache here")
    for attempt in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        if attempt:
            assert done.stdout.split() == ["1", "0"]


@pytest.mark.parametrize("size", [0, 1, WIDTH, WIDTH + 1])
def test_any_size_of_array_will_do(size):
    assert tanh_of(np.full(size, 0.5)).tolist() == [tanh_of(np.array([0.5]))[0]] * size
