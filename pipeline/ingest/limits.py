"""How much a file may ask for. Everything from outside is measured against these first."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Largest sizes that are read; what is larger is refused with its size and the limit."""

    max_file_bytes: int = 4 * 1024**3
    """Size of one file: the largest that 32-bit element lengths describe."""

    max_rows_columns: int = 4096
    """Rows and columns of one frame: several times the largest MR matrix."""

    max_frames: int = 20_000
    """Frames of one instance, and of one series."""

    max_pixel_bytes: int = 2 * 1024**3
    """Values of one series as float32: what its analysis holds in memory."""

    max_inflated_bytes: int = 512 * 1024**2
    """A deflated data set after inflation."""

    max_inflation_ratio: int = 200
    """Inflated over deflated size. Images deflate 2 to 20 times; a bomb, 1000 times."""

    free_inflated_bytes: int = 16 * 1024**2
    """Inflated size up to which the ratio does not matter: a blank image deflates as far."""

    max_nesting: int = 32
    """Sequences within sequences. Images nest 3 to 6 deep, reports 10; parsers recurse and fall
    over."""
