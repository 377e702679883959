"""Pictures as pixels: upright, of one frame, and with nothing taken off their values unsaid."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from astro_sim.common.errors import InputError, brief
from rmaat.tasks.sources import HEAD, kind_of


class UnreadableError(InputError):
    """A picture that is empty or broken."""


@dataclass(frozen=True)
class Picture:
    """What was decoded.

    Attributes
    ----------
    width, height : int
        As stored, not turned.
    mode : str
        Pillow's ("L", "RGB", ...); with more words where the pixels are not all that the picture holds: 16 bits,
        transparency, several frames.
    format : str
        Pillow's: "JPEG" or "PNG".
    pixels : array of bytes, or None
        Turned as the EXIF data ask for; None for a picture of another size, which is not unpacked.
    """

    width: int
    height: int
    mode: str
    format: str
    pixels: NDArray[np.uint8] | None


def decode(raw: bytes, formats: tuple[str, ...], side: int) -> Picture:
    """Read a picture of ``side`` by ``side`` pixels.

    Raises
    ------
    UnreadableError
        What is wrong, in some words: for a message that names the file.
    """
    try:
        with warnings.catch_warnings():
            # Of another size it is refused without being unpacked, so that none is too large.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", UserWarning)  # of broken EXIF data: what is upright is not known
            with Image.open(io.BytesIO(raw), formats=formats) as picture:
                picture.verify()  # the checksums of a PNG, which decoding passes over
            with Image.open(io.BytesIO(raw), formats=formats) as picture:
                width, height = picture.size
                pixels = _upright(picture) if (width, height) == (side, side) else None
                # What comes behind the pixels of a PNG is known when they are read.
                return Picture(width, height, _mode(picture, raw), str(picture.format), pixels)
    except Image.UnidentifiedImageError:
        kind = kind_of(raw[:HEAD])
        raise UnreadableError(f"it begins as {kind}" if kind else "not known as a picture") from None
    # What pillow raises depends on where a file is broken.
    except Exception as error:
        raise UnreadableError(brief(error)) from None


def _upright(picture: Image.Image) -> NDArray[np.uint8]:
    picture.load()
    return np.asarray(ImageOps.exif_transpose(picture))


def _mode(picture: Image.Image, raw: bytes) -> str:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        return f"{picture.mode} in {frames} frames"
    if picture.format == "PNG" and raw[24] == 16:  # the depth, in the header that each PNG begins with
        return f"{picture.mode} of 16 bits"
    return f"{picture.mode} with transparency" if "transparency" in picture.info else picture.mode
