"""How much a file may ask for. Everything from outside is measured against these first.

A site sets them once, in ``[limits]``, and its commands put them in force for the process: a door
that forgot to pass them on would stand wider open than the others, and nobody would notice.
"""

from dataclasses import dataclass, fields

from pipeline.errors import UnusableCall

MIB = 1024**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Largest sizes that are read; what is larger is refused with its size and the limit."""

    max_file_bytes: int = 4096 * MIB
    """Size of one file: the largest that 32-bit element lengths describe."""

    max_rows_columns: int = 4096
    """Rows and columns of one frame: several times the largest MR matrix, and what cameras of an
    operating theatre reach."""

    max_frames: int = 20_000
    """Frames of one instance, and of one series."""

    max_fragments: int = 1_000_000
    """Fragments of encapsulated pixel data: an hour of video has 100,000 pictures."""

    max_pixel_bytes: int = 2048 * MIB
    """Values of one series as float32: what its analysis holds in memory."""

    max_inflated_bytes: int = 512 * MIB
    """A deflated data set after inflation."""

    max_inflation_ratio: int = 200
    """Inflated over deflated size, of deflated data sets and of compressed NIfTI. Images deflate 2
    to 20 times; a bomb, 1000 times."""

    free_inflated_bytes: int = 16 * MIB
    """Inflated size up to which the ratio does not matter: a blank image deflates as far."""

    max_nesting: int = 32
    """Sequences within sequences. Images nest 3 to 6 deep, reports 10; parsers recurse and fall
    over."""

    max_xml_bytes: int = 16 * MIB
    """Header of an MRD file: real ones have 2 to 200 kB."""

    max_chunk_bytes: int = 256 * MIB
    """One chunk of an HDF5 dataset, decompressed: it is held whole in memory. Real ones have less
    than 10 MiB."""

    max_video_seconds: int = 86_400
    """Length that a container may claim [s]: no operation takes longer than a day."""

    max_streams: int = 16
    """Streams of a container: one of pictures, few of sound and of texts."""

    reader_memory_bytes: int = 512 * MIB
    """What the process that reads a file may hold beside the values that the file describes."""

    reader_time_s: int = 300
    """Longest time that reading one file, or waiting for one picture, may take [s]."""

    hold_other_body_parts: bool = True
    """Whether a series that fits an analysis by its form, and is of another part of the body by its
    names, is held until a person releases it."""

    refuse_foreign_preamble: bool = True
    """Whether a DICOM file is refused whose preamble makes it a program, a script, an archive or a
    page as well."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if value < 1 and not isinstance(value, bool):
                raise UnusableCall(f"{name} is {value}, needed is more than 0")


_in_force = [Limits()]


def in_force() -> Limits:
    """Return the limits of this process."""
    return _in_force[0]


def put_in_force(limits: Limits) -> None:
    """Make limits those of this process, before it reads anything."""
    _in_force[0] = limits
