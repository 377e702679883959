"""The compiled kernel of the macro model, for `WIDTH` problems at once: lanes, tanh of lanes, the model's steps.

Eight numbers side by side are one value of compiled code, `Lanes`; arithmetic on it is SIMD by construction. (LLVM's
own vectoriser gives up on some of the model's loops, where too many arrays might overlap.) Every operation is IEEE
arithmetic lane by lane, without contraction or reordering: what one lane holds depends on no other lane, nor on its
place, nor on how wide the machine's registers are. Arrays are (rows, lane) throughout.

All of it in one file, because numba's cache on disk looks for changes in the file of the cached function alone.
"""

# numba fills in the first argument of intrinsics:
# pyright: reportCallIssue=false, reportArgumentType=false

import operator
from collections.abc import Callable
from enum import IntEnum
from inspect import Parameter, Signature
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import float64, types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from astro_sim.common.compiled import compiled

WIDTH = 8  # one AVX-512 register, two of AVX2; LLVM splits it where registers are narrower

# What the kernel is told of a block of problems, by name: `astro_sim.macro.solver` fills in what `advance` reads.
Constant = IntEnum(
    "Constant",
    ["lambda_", "beta", "gamma_s", "gamma_l", "rate_n", "rate_s", "rate_p_s", "rate_p_l", "b", "c", "d"],
    start=0,
)
"""Row of a constant in the array ``constants``, (rows, lane); a rate is 1 / tau, per second."""


class Shapes(NamedTuple):
    """Code of the non-linearity in each role, of `CODES`."""

    phi: int
    g: int
    theta: int
    psi: int
    kappa: int


class Switches(NamedTuple):
    """Parts of the equations that are in force; the last four are those that a knock-out takes away."""

    bounded: bool
    hold_ltp: bool
    calcium: bool
    receptors: bool
    gap_junctions: bool
    gliotransmission: bool


_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_BITS = ir.VectorType(ir.IntType(64), WIDTH)


class Lanes(types.Type):
    """Type of `WIDTH` float64 side by side."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{WIDTH}")


lanes = Lanes()


@register_model(Lanes)  # pyright: ignore[reportOptionalCall]
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _VECTOR)


class _Arithmetic(ConcreteTemplate):
    cases = [signature(lanes, lanes, lanes)]  # noqa: RUF012


_INSTRUCTIONS = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}
for _function, _instruction in _INSTRUCTIONS.items():
    infer_global(_function)(type("Template", (_Arithmetic,), {}))  # pyright: ignore[reportOptionalCall]

    @lower_builtin(_function, lanes, lanes)
    def _lower(context, builder, sig, args, instruction=_instruction):
        return getattr(builder, instruction)(*args)


def _constant(vector, number):
    return ir.Constant(vector, [number] * WIDTH)


def _at(context, builder, array_type, array, row):
    """Pointer to the vector in ``array[row]``."""
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.gep(data, [builder.mul(row, ir.Constant(row.type, WIDTH))])
    return builder.bitcast(first, _VECTOR.as_pointer())


@intrinsic
def splat(typingctx, number):
    """``number`` in every lane."""

    def generate(context, builder, sig, args):
        undefined, first = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        return builder.shuffle_vector(builder.insert_element(undefined, args[0], first), undefined, places)

    return lanes(float64), generate


@intrinsic
def load(typingctx, array, row):
    """``array[row]`` of a contiguous array (rows, WIDTH)."""

    def generate(context, builder, sig, args):
        return builder.load(_at(context, builder, sig.args[0], *args), align=8)

    return lanes(array, types.intp), generate


@intrinsic
def store(typingctx, array, row, value):
    """Set ``array[row]`` of a contiguous array (rows, WIDTH)."""

    def generate(context, builder, sig, args):
        builder.store(args[2], _at(context, builder, sig.args[0], *args[:2]), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


def _lanewise(arity: int) -> Callable[[Callable[..., Any]], Any]:
    """Make an operation on lanes of the instructions that ``emit(builder, *lanes)`` gives, which carries its name."""

    def decorate(emit):
        def typed(typingctx, *operands):
            return lanes(*[lanes] * arity), lambda context, builder, sig, args: emit(builder, *args)

        typed.__name__, typed.__doc__ = emit.__name__, emit.__doc__
        parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("typingctx", *"abc"[:arity])]
        typed.__signature__ = Signature(parameters)
        return intrinsic(typed)

    return decorate


@_lanewise(3)
def fma(builder, a, b, c):
    """a b + c, rounded once: stated, not left to the compiler, so that every machine gives the same bits."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f64"), [a, b, c])


@_lanewise(1)
def absolute(builder, value):
    """Absolute value."""
    return builder.bitcast(builder.and_(builder.bitcast(value, _BITS), _constant(_BITS, 2**63 - 1)), _VECTOR)


@_lanewise(2)
def with_sign(builder, size, sign):
    """``size`` (not negative) with the sign of ``sign``."""
    bit = builder.and_(builder.bitcast(sign, _BITS), _constant(_BITS, -(2**63)))
    return builder.bitcast(builder.or_(builder.bitcast(size, _BITS), bit), _VECTOR)


@_lanewise(2)
def at_most(builder, value, bound):
    """The smaller of both; NaN in ``value`` stays."""
    return builder.select(builder.fcmp_ordered(">", value, bound), bound, value)


@_lanewise(2)
def at_least(builder, value, bound):
    """The larger of both; NaN in ``value`` stays."""
    return builder.select(builder.fcmp_ordered("<", value, bound), bound, value)


@_lanewise(1)
def power_of_two(builder, shifted):
    """2^k, where ``shifted`` is k + 1.5 * 2^52, so that k stands in its lowest bits."""
    exponent = builder.shl(builder.bitcast(shifted, _BITS), _constant(_BITS, 52))
    return builder.bitcast(builder.add(exponent, _constant(_BITS, 1023 << 52)), _VECTOR)


@compiled(cache=False)
def tanh(x):
    """tanh of every lane, within 4 ulp over all of float64; odd, with NaN and signed zeros kept.

    With 2|x| = k ln 2 + r and tanh(r/2) = r P(r^2) / Q(r^2), the addition theorem gives

        tanh|x| = (r P (2^k + 1) + Q (2^k - 1)) / (Q (2^k + 1) + r P (2^k - 1)),

    at k = 0 simply r P / Q, so small arguments keep their relative accuracy. P and Q, and ln 2 in two parts: exp.c of
    the Cephes library (S. L. Moshier, 1984), where exp r = 1 + 2 r P / (Q - r P).
    """
    doubled = at_most(absolute(x), splat(22.0)) * splat(2.0)  # tanh 22 is 1 to the last bit
    shifted = fma(doubled, splat(1.4426950408889634), splat(6755399441055744.0))  # 1.5 * 2^52 rounds 2|x|/ln 2 to k
    k = shifted - splat(6755399441055744.0)
    r = fma(k, splat(-1.42860682030941723212e-6), fma(k, splat(-6.93145751953125e-1), doubled))
    square = r * r
    p = fma(splat(1.26177193074810590878e-4), square, splat(3.02994407707441961300e-2))
    q = fma(splat(3.00198505138664455042e-6), square, splat(2.52448340349684104192e-3))
    q = fma(fma(q, square, splat(2.27265548208155028766e-1)), square, splat(2.0))
    odd = r * fma(p, square, splat(1.0))
    power = power_of_two(shifted)
    more, less = power + splat(1.0), power - splat(1.0)
    return with_sign(fma(odd, more, q * less) / fma(q, more, odd * less), x)


@compiled()
def _tanh_rows(rows):
    for row in range(len(rows)):
        store(rows, row, tanh(load(rows, row)))


def tanh_of(values: np.ndarray) -> np.ndarray:
    """The solver's tanh on an array of any size."""
    rows = np.zeros((-(-values.size // WIDTH), WIDTH))
    rows.ravel()[: values.size] = values.ravel()
    _tanh_rows(rows)
    return rows.ravel()[: values.size].reshape(values.shape)


TANH, RECTIFIED, SOFTSIGN, LINEAR = range(4)
CODES = {"tanh": TANH, "rectified": RECTIFIED, "softsign": SOFTSIGN, "linear": LINEAR}


@compiled(cache=False)
def _apply(code, source, first, target, at, count):
    """Non-linearity of ``count`` rows from ``source[first]``, into ``target[at]`` and on."""
    if code == TANH:
        for k in range(count):
            store(target, at + k, tanh(load(source, first + k)))
    elif code == RECTIFIED:
        for k in range(count):
            store(target, at + k, at_least(tanh(load(source, first + k)), splat(0.0)))
    elif code == SOFTSIGN:
        for k in range(count):
            x = load(source, first + k)
            store(target, at + k, x / (splat(1.0) + absolute(x)))
    else:
        for k in range(count):
            store(target, at + k, load(source, first + k))


@compiled(cache=False)
def _spread(shared, own, f, psi, processes, out, at):
    """sum_kl T_ijkl psi_kl into ``out[at]`` and on; four rows at once, as each sum waits for its own last term."""
    k = 0
    while k < processes:
        a, b, c, d = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
        if k + 4 > processes:
            for other in range(processes):
                weight = load(own, k * processes + other) if len(own) else splat(shared[k, other])
                a = fma(weight, load(f, psi + other), a)
            store(out, at + k, a)
            k += 1
            continue
        if len(own):
            for other in range(processes):
                value, row = load(f, psi + other), k * processes + other
                a = fma(load(own, row), value, a)
                b = fma(load(own, row + processes), value, b)
                c = fma(load(own, row + 2 * processes), value, c)
                d = fma(load(own, row + 3 * processes), value, d)
        else:
            for other in range(processes):
                value = load(f, psi + other)
                a = fma(splat(shared[k, other]), value, a)
                b = fma(splat(shared[k + 1, other]), value, b)
                c = fma(splat(shared[k + 2, other]), value, c)
                d = fma(splat(shared[k + 3, other]), value, d)
        store(out, at + k, a)
        store(out, at + k + 1, b)
        store(out, at + k + 2, c)
        store(out, at + k + 3, d)
        k += 4


@compiled(cache=False)
def _derivative(y, inputs, u, shared, own, constants, shapes, switches, n, f, out):
    """Right-hand side at ``y`` with the inputs in rows ``u`` and on, into ``out``; ``f`` is scratch."""
    phi, g, theta, psi, kappa = shapes.phi, shapes.g, shapes.theta, shapes.psi, shapes.kappa
    processes = n * n
    at_s, at_ps, at_pl = 2 * n, 2 * n + processes, 2 * n + 2 * processes
    lambda_, beta = load(constants, Constant.lambda_), load(constants, Constant.beta)
    gamma_s, gamma_l = load(constants, Constant.gamma_s), load(constants, Constant.gamma_l)
    rate_n, rate_s = load(constants, Constant.rate_n), load(constants, Constant.rate_s)
    rate_ps, rate_pl = load(constants, Constant.rate_p_s), load(constants, Constant.rate_p_l)
    b, c, d = load(constants, Constant.b), load(constants, Constant.c), load(constants, Constant.d)
    zero, one = splat(0.0), splat(1.0)

    # Each non-linearity once an argument: where two roles share it, they share its values.
    f_phi, f_theta_post, f_g, f_psi = 0, 2 * n, 3 * n, 3 * n + 2 * processes
    f_theta = f_phi if theta == phi else n
    f_kappa = f_g if kappa == g else f_g + processes
    _apply(phi, y, 0, f, f_phi, n)
    if theta != phi:
        _apply(theta, y, 0, f, f_theta, n)
    _apply(theta, y, n, f, f_theta_post, n)
    _apply(g, y, at_s, f, f_g, processes)
    if kappa != g:
        _apply(kappa, y, at_s, f, f_kappa, processes)
    _apply(psi, y, at_ps, f, f_psi, processes)

    for j in range(n):
        store(out, j, (load(inputs, u + j) + b - lambda_ * load(y, j)) * rate_n)
    for i in range(n):
        synaptic = zero
        theta_i = load(f, f_theta_post + i)
        for j in range(n):
            k = i * n + j
            synaptic = fma(load(f, f_g + k), load(f, f_phi + j), synaptic)
            facilitation = theta_i * load(f, f_theta + j) - beta * load(y, at_s + k)
            if switches.gliotransmission:
                facilitation = facilitation + load(f, f_psi + k)
            store(out, at_s + k, (facilitation + c) * rate_s)
        store(out, n + i, (synaptic + load(inputs, u + n + i) + b - lambda_ * load(y, n + i)) * rate_n)

    if switches.calcium and switches.gap_junctions:
        _spread(shared, own, f, f_psi, processes, out, at_ps)
    for k in range(processes):
        if not switches.calcium:
            store(out, at_ps + k, zero)
            store(out, at_pl + k, zero)
            continue
        spread = load(out, at_ps + k) if switches.gap_junctions else zero
        drive = load(f, f_kappa + k) if switches.receptors else zero
        store(out, at_ps + k, (spread + drive + d - gamma_s * load(y, at_ps + k)) * rate_ps)
        p_l = load(y, at_pl + k)
        if switches.hold_ltp:
            store(out, at_pl + k, zero)
        elif switches.bounded:
            store(out, at_pl + k, (drive * (one - p_l) - gamma_l * p_l) * rate_pl)
        else:
            store(out, at_pl + k, (drive - gamma_l * p_l) * rate_pl)


@compiled(nogil=True)
def advance(y, lengths, counts, ends, inputs, shared, own, constants, shapes, switches, n, euler, out):
    """Carry ``y`` through pieces of stretches; see `astro_sim.macro.solver` for what the arrays hold."""
    size = len(y)
    slope, trial, total = np.empty((size, WIDTH)), np.empty((size, WIDTH)), np.empty((size, WIDTH))
    f = np.empty((3 * n + 3 * n * n, WIDTH))
    for piece in range(len(lengths)):
        length, end = lengths[piece], ends[piece]
        u = (abs(end) - 1) * 2 * n
        h, half, sixth, two = splat(length), splat(0.5 * length), splat(length / 6.0), splat(2.0)
        for _ in range(counts[piece]):
            _derivative(y, inputs, u, shared, own, constants, shapes, switches, n, f, slope)
            if euler:
                for k in range(size):
                    store(y, k, load(y, k) + h * load(slope, k))
                continue
            for k in range(size):
                store(total, k, load(slope, k))
                store(trial, k, load(y, k) + half * load(slope, k))
            for stage in range(2):
                _derivative(trial, inputs, u, shared, own, constants, shapes, switches, n, f, slope)
                reach = half if stage == 0 else h
                for k in range(size):
                    store(total, k, load(total, k) + two * load(slope, k))
                    store(trial, k, load(y, k) + reach * load(slope, k))
            _derivative(trial, inputs, u, shared, own, constants, shapes, switches, n, f, slope)
            for k in range(size):
                store(y, k, load(y, k) + sixth * (load(total, k) + load(slope, k)))
        if end > 0:
            for lane in range(len(out)):
                for k in range(size):
                    out[lane, end, k] = y[k, lane]
