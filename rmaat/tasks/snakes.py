"""Pictures of Pathfinder: are the two discs the ends of one dashed contour, or of two? (Linsley et al. 2018)

A snake is a chain of links that bend at hinges. The middle of each link is drawn, a paddle; the gap between two paddles
of a snake is two margins long, with the hinge half way. Two target snakes start at a given distance from each other and
grow in turn; shorter distractors fill the room that is left. A paddle keeps two margins and its own thickness away from
every other but its neighbours in its snake, so the nearest end is always the one that goes on.

The layout is drawn before the label has any say: that decides only which of two far ends gets the second disc.

Parameters are those that the Long Range Arena states for its release (lra_benchmarks/data/pathfinder.py), and where it
names none the defaults of the generator that it used (github.com/drewlinsley/pathfinder, snakes2_wrapper.py). The
design is our own: positions that are no whole numbers, distances between segments in place of dilated masks, coverage
of pixels in place of supersampling.

Points of the plane are complex numbers, column + i row in pixels, a pixel's centre being whole.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.complex128]

PADDLES = {"curv_baseline": 6, "curv_contour_length_9": 9, "curv_contour_length_14": 14}  # of a target; snakes2_wrapper
SHORTER = 3  # paddles of a target to one of a distractor, 1; snakes2_wrapper
ANGLES = 8  # turning angles drawn for a paddle before its snake is given up, 1; chosen
PLACES = 24  # places drawn for the first paddle of a distractor, 1; chosen
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


SCALES = {  # LRA; paddle_length 5 of the generator, whose snakes have one contrast where LRA does not name two
    32: Scale(7, (1,), 2, 0.5, 1.5, 1.0, 20, (0.75 * 2, 2)),  # paddle_contrast applies to targets only
    64: Scale(12, (1,), 5, 1.0, 2.5, 1.8, 22, (0.8, 0.8)),
    128: Scale(20, (2, 3), 5, 1.5, 3.0, 1.8, 35, (0.9, 0.9)),
}

# Turning angles t with density proportional to cos(c t)^2 within 90 degrees / c (snakes.py): quantiles of c t.
_TURNS = np.linspace(-np.pi / 2, np.pi / 2, 1025)
_QUANTILES = 0.5 + (_TURNS + np.sin(2 * _TURNS) / 2) / np.pi


@dataclass(frozen=True)
class Picture:
    """One picture, and what was drawn.

    Attributes
    ----------
    pixels : array of uint8, (size, size)
    label : int
        1: the discs are the two ends of one target; 0: of different ones.
    targets : two arrays of complex, (paddles, 2)
        Start and end of every paddle, in order.
    distractors : arrays of complex, (paddles, 2)
    markers : array of complex, (2,)
        Centres of the discs.
    margin : int
    """

    pixels: NDArray[np.uint8]
    label: int
    targets: tuple[Points, Points]
    distractors: tuple[Points, ...]
    markers: Points
    margin: int


def draw(seed: int, index: int, size: int = 32, contours: str = "curv_contour_length_14") -> Picture:
    """Make picture ``index`` of the series ``seed``.

    Parameters
    ----------
    seed, index : int
    size : {32, 64, 128}
        Pixels of a side.
    contours : {"curv_baseline", "curv_contour_length_9", "curv_contour_length_14"}
        Difficulty, by the release's names: 6, 9 or 14 paddles a target.
    """
    generator, scale, paddles = np.random.default_rng([seed, index]), SCALES[size], PADDLES[contours]
    board = Board(generator, scale, size)
    targets = board.targets(paddles)
    distractors = board.distractors(paddles // SHORTER, scale.distractor_paddles // (paddles // SHORTER))
    label, near = generator.integers(2, size=2)
    far = near if label else 1 - near
    markers = np.array([targets[near][0, 0], targets[far][-1, 1]])
    return Picture(
        render(size, scale, targets, distractors, markers), int(label), targets, distractors, markers, board.margin
    )


class Board:
    """Where paddles lie, and where further ones fit."""

    def __init__(self, generator: np.random.Generator, scale: Scale, size: int) -> None:
        self.generator, self.scale, self.size = generator, scale, size
        self.margin = int(generator.choice(scale.margins))
        self.clearance = 2 * self.margin + scale.paddle_thickness
        self.starts = np.empty(256, dtype=complex)
        self.units = np.empty(256, dtype=complex)  # directions
        self.count = 0

    def targets(self, paddles: int) -> tuple[Points, Points]:
        """Two snakes that grow in turn, on an empty board; begun anew until neither runs into a dead end."""
        while True:
            self.count = 0
            inset = 2 * self.scale.seed_distance - 0.5
            start = complex(*self.generator.uniform(inset, self.size - 1 - inset, 2))
            pair = (self._place(start, self._directions(1)),)
            pair += (self._place(start + self.scale.seed_distance * self._directions(1), self._directions(1)),)
            snakes = [[last] for last in pair if last is not None]
            if len(snakes) == 2 and all(self._extend(snake) for _ in range(paddles - 1) for snake in snakes):
                return self._segments(snakes[0]), self._segments(snakes[1])

    def distractors(self, paddles: int, count: int) -> tuple[Points, ...]:
        """Up to ``count`` snakes in the room that is left."""
        found = []
        for _ in range(count):
            for _ in range(ATTEMPTS):
                before = self.count
                places = self.generator.uniform(0, self.size - 1, (2, PLACES))
                first = self._place(places[0] + 1j * places[1], self._directions(PLACES))
                if first is None:
                    continue
                snake = [first]
                if all(self._extend(snake) for _ in range(paddles - 1)):
                    found.append(self._segments(snake))
                    break
                self.count = before
        return tuple(found)

    def fits(self, starts: Points, units: Points, beside: int | None = None) -> NDArray[np.bool_]:
        """Which paddles lie inside the edge and clear of all others but ``beside``."""
        length, edge = self.scale.paddle_length, self.scale.padding + self.margin
        tips = np.stack([starts, starts + length * units])  # (2, candidates)
        inside = np.minimum(tips.real, tips.imag).min(0) >= edge
        inside &= np.maximum(tips.real, tips.imag).max(0) <= self.size - 1 - edge
        if self.count == 0:
            return inside
        there, along = self.starts[: self.count], self.units[: self.count]
        # The paddles cannot cross without an end of one coming near to the other: ends to segments is all there is.
        squared = _squared_distance(tips[:, :, None], there, along, length).min(0)
        ends = np.stack([there, there + length * along])[:, None]
        squared = np.minimum(squared, _squared_distance(ends, starts[:, None], units[:, None], length).min(0))
        if beside is not None:
            squared[:, beside] = np.inf
        return inside & (squared.min(1) >= self.clearance**2)

    def _extend(self, snake: list[int]) -> bool:
        """Add a paddle to the snake, if one of the turns drawn leads to where it fits."""
        last, reach = snake[-1], self.scale.paddle_length + self.margin
        hinge = self.starts[last] + reach * self.units[last]
        turns = np.interp(self.generator.random(ANGLES), _QUANTILES, _TURNS) / self.scale.continuity
        units = self.units[last] * np.exp(1j * turns)
        added = self._place(hinge + self.margin * units, units, beside=last)
        if added is None:
            return False
        snake.append(added)
        return True

    def _place(self, starts: Points | complex, units: Points, beside: int | None = None) -> int | None:
        """Put down the first of several paddles that fits; its number, or None."""
        starts = np.broadcast_to(starts, units.shape)
        fits = self.fits(starts, units, beside)
        chosen = int(fits.argmax())
        if not fits[chosen]:
            return None
        self.starts[self.count], self.units[self.count] = starts[chosen], units[chosen]
        self.count += 1
        return self.count - 1

    def _directions(self, count: int) -> Points:
        return np.exp(1j * self.generator.uniform(-np.pi, np.pi, count))

    def _segments(self, snake: list[int]) -> Points:
        starts = self.starts[snake]
        return np.stack([starts, starts + self.scale.paddle_length * self.units[snake]], axis=1)


def _squared_distance(points: Points, starts: Points, units: Points, length: float) -> NDArray[np.float64]:
    """From points to segments."""
    local = (points - starts) * units.conj()
    return (local.real - local.real.clip(0, length)) ** 2 + local.imag**2


def render(
    size: int, scale: Scale, targets: tuple[Points, ...], distractors: tuple[Points, ...], markers: Points
) -> NDArray[np.uint8]:
    """Draw everything; where things overlap, the brighter one shows.

    A pixel's share of a paddle is that of a box of one pixel turned with the paddle; of a disc, that along the radius.
    """
    reach = int(np.ceil(max(scale.paddle_length / 2 + 1, scale.marker_radius + 1)))
    canvas = np.zeros((size + 2 * reach, size + 2 * reach))
    steps = np.arange(-reach, reach + 1)
    window = steps + 1j * steps[:, None]

    def add(centres: Points, values: NDArray[np.float64], places: Points) -> None:
        rows, columns = places.imag.astype(int) + reach, places.real.astype(int) + reach
        np.maximum.at(canvas, (rows, columns), values)

    for snakes, contrast in zip((targets, distractors), scale.contrasts, strict=True):
        if not snakes:
            continue
        paddles = np.concatenate(snakes)
        centres = paddles.mean(1)[:, None, None]
        places = np.round(centres) + window
        units = (paddles[:, 1] - paddles[:, 0])[:, None, None] / scale.paddle_length
        local = (places - centres) * units.conj()
        share = _share(local.imag, scale.paddle_thickness) * _share(local.real, scale.paddle_length)
        add(centres, contrast * share, places)
    places = np.round(markers)[:, None, None] + window
    add(markers, _share(abs(places - markers[:, None, None]), 2 * scale.marker_radius), places)
    inner = canvas[reach:-reach, reach:-reach]
    return np.round(255 * inner.clip(0, 1)).astype(np.uint8)


def _share(distance: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Overlap of a pixel with a bar ``width`` wide whose middle is ``distance`` away."""
    return (width / 2 + 0.5 - abs(distance)).clip(0, min(width, 1))
