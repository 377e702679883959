"""Pictures of Pathfinder: are the two discs the ends of one dashed contour, or of two? (Linsley et al. 2018)

A snake is a chain of links that bend at hinges. The middle of each link is drawn, a paddle; the gap between two paddles
of a snake is two margins long, with the hinge half way. Two target snakes start at a given distance from each other and
grow in turn; shorter distractors fill the room that is left. A paddle keeps two margins and its own thickness away from
every other but its neighbours in its snake, so the nearest end is always the one that goes on.

One disc covers the start of a target, the other a far end: that of the same target or of the other one. The label alone
decides which, after everything else is drawn, and both far ends are equally far from the start to within a disc's
radius: neither ink nor counts nor the distance of the discs says anything about the label.

Parameters are those that the Long Range Arena states for its release (lra_benchmarks/data/pathfinder.py), and where it
names none the defaults of the generator that it used (github.com/drewlinsley/pathfinder, snakes2_wrapper.py). The
design is our own: positions that are no whole numbers, distances between segments in place of dilated masks, a step
back out of dead ends, equal distances of the discs, coverage of pixels in place of supersampling.

Points of the plane are complex numbers, column + i row in pixels, a pixel's centre being whole.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.compiled import compiled

Points = NDArray[np.complex128]

PADDLES = {"curv_baseline": 6, "curv_contour_length_9": 9, "curv_contour_length_14": 14}  # of a target; snakes2_wrapper
SHORTER = 3  # paddles of a target to one of a distractor, 1; snakes2_wrapper
TURNS = 64  # turning angles drawn for a paddle before its snake is at a dead end, 1; chosen
RETREATS = 30  # dead ends before the targets begin anew, 1; chosen
PLACES = 100  # drawn for the first paddle of a distractor, 1; chosen
ATTEMPTS = 5  # at one distractor before it is left out, 1; max_distractor_contour_retrial (4 more), snakes2_wrapper


@dataclass(frozen=True)
class Scale:
    """What depends on the size of the picture; lengths in pixels."""

    seed_distance: float  # between the starts of the targets; the first keeps twice as much from the edge
    margins: tuple[int, ...]  # half the gap between paddles of a snake; one is drawn for each picture
    paddle_length: float
    paddle_thickness: float
    marker_radius: float
    continuity: float  # 1; turning angles stay within 90 degrees / continuity
    distractor_paddles: int  # 1; in all, cut to whole snakes
    contrasts: tuple[float, float]  # 1; of targets and of distractors, a disc having 1
    padding: float = 1.0  # width of the edge that is kept free


SCALES = {  # LRA; paddle_length 5 is the generator's, as is that paddle_contrast (0.75) applies to targets only
    32: Scale(7, (1,), 2, 0.5, 1.5, 1.0, 20, (0.75 * 2, 2)),
    64: Scale(12, (1,), 5, 1.0, 2.5, 1.8, 22, (0.8, 0.8)),
    128: Scale(20, (2, 3), 5, 1.5, 3.0, 1.8, 35, (0.9, 0.9)),
}


class Room(NamedTuple):
    """What every paddle keeps to; lengths in pixels."""

    size: int
    low: float  # least coordinate of an end
    high: float
    length: float  # of a paddle
    margin: float
    clearance: float  # between paddles
    continuity: float

    @classmethod
    def of(cls, size: int, margin: int) -> "Room":
        """For pictures of a size, one of its margins having been drawn."""
        scale = SCALES[size]
        edge, clearance = scale.padding + margin, 2 * margin + scale.paddle_thickness
        return cls(size, edge, size - 1 - edge, scale.paddle_length, margin, clearance, scale.continuity)


@dataclass(frozen=True)
class Picture:
    """One picture, and what was drawn.

    Attributes
    ----------
    pixels : array of uint8, (size, size)
    label : int
        1: the discs are the two ends of one target; 0: of different ones.
    targets, distractors : array of complex, (snakes, paddles, 2)
        Start and end of every paddle of every snake, in order.
    markers : array of complex, (2,)
        Centres of the discs.
    room : Room
    """

    pixels: NDArray[np.uint8]
    label: int
    targets: Points
    distractors: Points
    markers: Points
    room: Room


def draw(seed: int, index: int, size: int = 32, contours: str = "curv_contour_length_14") -> Picture:
    """Make picture ``index`` of the series ``seed``; no other picture is needed for it.

    Parameters
    ----------
    seed, index : int
    size : {32, 64, 128}
        Pixels of a side.
    contours : {"curv_baseline", "curv_contour_length_9", "curv_contour_length_14"}
        Difficulty, by the release's names: 6, 9 or 14 paddles a target.
    """
    generator, scale, paddles = np.random.default_rng([seed, index]), SCALES[size], PADDLES[contours]
    room = Room.of(size, scale.margins[generator.integers(len(scale.margins))])
    shorter = paddles // SHORTER
    asked = scale.distractor_paddles // shorter
    starts, units = np.empty(
        (2, 2 * paddles + asked * shorter), dtype=np.complex128
    )  # of every paddle; units: directions
    near = -1
    while near < 0:
        grow_targets(generator, starts, units, paddles, scale.seed_distance, room)
        near = start_to_mark(generator, starts, units, paddles, scale.marker_radius, room)
    count = grow_distractors(generator, starts, units, 2 * paddles, shorter, asked, room)
    starts, units = starts[:count], units[:count]
    segments = np.stack([starts, starts + room.length * units], axis=1)
    targets = segments[: 2 * paddles].reshape(paddles, 2, 2).swapaxes(0, 1)  # they grew in turn
    distractors = segments[2 * paddles :].reshape(-1, shorter, 2)
    label = int(generator.integers(2))
    markers = np.array([targets[near, 0, 0], targets[near if label else 1 - near, -1, 1]])
    return Picture(render(size, targets, distractors, markers), label, targets, distractors, markers, room)


@compiled()
def grow_targets(generator, starts, units, paddles, seed_distance, room):
    """Place two snakes, a paddle of each in turn.

    Where one runs into a dead end both lose their last paddle; after many dead ends they begin anew.
    """
    inset = 2 * seed_distance - 0.5
    span = room.size - 1 - 2 * inset
    while True:
        starts[0] = complex(inset + span * generator.random(), inset + span * generator.random())
        starts[1] = starts[0] + seed_distance * direction(generator)
        units[0], units[1] = direction(generator), direction(generator)
        if not (fits(starts, units, 0, -1, room) and fits(starts, units, 1, -1, room)):
            continue
        count, retreats = 2, 0
        while retreats < RETREATS:
            if count == 2 * paddles:
                return
            if extend(generator, starts, units, count, count - 2, room):
                count += 1
            else:
                count = max(2, count - count % 2 - 2)
                retreats += 1


@compiled()
def start_to_mark(generator, starts, units, paddles, tolerance, room):
    """Draw the target whose start is as far from the one far end as from the other; -1 where neither's is."""
    one, other = starts[2 * paddles - 2 : 2 * paddles] + room.length * units[2 * paddles - 2 : 2 * paddles]
    first = int(2 * generator.random())
    for near in (first, 1 - first):
        if abs(abs(one - starts[near]) - abs(other - starts[near])) <= tolerance:
            return near
    return -1


@compiled()
def grow_distractors(generator, starts, units, count, paddles, asked, room):
    """Add up to ``asked`` snakes behind the first ``count`` paddles, in the room left; return how many paddles then."""
    for _ in range(asked):
        for _ in range(ATTEMPTS):
            grown = count
            for _ in range(PLACES):
                starts[grown] = complex(room.size * generator.random(), room.size * generator.random())
                units[grown] = direction(generator)
                if fits(starts, units, grown, -1, room):
                    grown += 1
                    break
            while count < grown < count + paddles and extend(generator, starts, units, grown, grown - 1, room):
                grown += 1
            if grown == count + paddles:
                count = grown
                break
    return count


@compiled()
def extend(generator, starts, units, count, last, room):
    """Place paddle ``count`` to follow paddle ``last``; False at a dead end.

    The turning angle t has a density proportional to cos(c t)^2 within 90 degrees / c wherever the paddle fits, with c
    the continuity (as in snakes.py of the generator).
    """
    hinge = starts[last] + (room.length + room.margin) * units[last]
    for _ in range(TURNS):
        scaled = np.pi * (generator.random() - 0.5)  # c t
        if generator.random() < np.cos(scaled) ** 2:
            turn = scaled / room.continuity
            units[count] = units[last] * complex(np.cos(turn), np.sin(turn))
            starts[count] = hinge + room.margin * units[count]
            if fits(starts, units, count, last, room):
                return True
    return False


@compiled()
def fits(starts, units, count, beside, room):
    """Whether paddle ``count`` lies within the edges and clear of all before it but ``beside``."""
    start, unit, length = starts[count], units[count], room.length
    end = start + length * unit
    if min(start.real, start.imag, end.real, end.imag) < room.low:
        return False
    if max(start.real, start.imag, end.real, end.imag) > room.high:
        return False
    least, far = room.clearance**2, (room.clearance + 2 * length) ** 2
    for k in range(count):
        apart = starts[k] - start
        if k == beside or apart.real**2 + apart.imag**2 > far:
            continue
        # Paddles are too short to cross without an end of one coming near to the other.
        if (
            squared_distance(start, starts[k], units[k], length) < least
            or squared_distance(end, starts[k], units[k], length) < least
            or squared_distance(starts[k], start, unit, length) < least
            or squared_distance(starts[k] + length * units[k], start, unit, length) < least
        ):
            return False
    return True


@compiled()
def squared_distance(point, start, unit, length):
    """From a point to a segment, squared."""
    local = (point - start) * unit.conjugate()
    beyond = local.real - min(max(local.real, 0.0), length)
    return beyond**2 + local.imag**2


@compiled()
def direction(generator):
    """Any direction, as a complex number of size 1."""
    angle = 2 * np.pi * generator.random()
    return complex(np.cos(angle), np.sin(angle))


def render(size: int, targets: Points, distractors: Points, markers: Points) -> NDArray[np.uint8]:
    """Draw everything; where things overlap, the brighter one shows.

    A pixel's share of a paddle is that of a box of one pixel turned with the paddle; of a disc, that along the radius.
    """
    scale = SCALES[size]
    length = scale.paddle_length + scale.paddle_thickness  # the pen is as long as it is thick
    reach = int(np.ceil(max(length / 2, scale.marker_radius) + 1))
    canvas = np.zeros((size + 2 * reach, size + 2 * reach))
    paddles = np.concatenate([targets.reshape(-1, 2), distractors.reshape(-1, 2)])
    centres = np.concatenate([paddles.mean(1), markers])[:, None, None]
    steps = np.arange(-reach, reach + 1)
    places = np.round(centres) + steps + 1j * steps[:, None]  # (things, 2 reach + 1, 2 reach + 1)
    local = places - centres
    units = (paddles[:, 1] - paddles[:, 0])[:, None, None] / scale.paddle_length
    turned = local[:-2] * units.conj()
    contrast = np.repeat(scale.contrasts, [targets.size // 2, distractors.size // 2])[:, None, None]
    bars = contrast * _share(turned.imag, scale.paddle_thickness) * _share(turned.real, length)
    discs = _share(np.abs(local[-2:]), 2 * scale.marker_radius)
    rows, columns = places.imag.astype(int) + reach, places.real.astype(int) + reach
    np.maximum.at(canvas, (rows, columns), np.concatenate([bars, discs]))
    return np.round(255 * canvas[reach:-reach, reach:-reach].clip(0, 1)).astype(np.uint8)


def _share(distance: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Overlap of a pixel with a bar ``width`` wide whose middle is ``distance`` away."""
    return (width / 2 + 0.5 - np.abs(distance)).clip(0, min(width, 1))
