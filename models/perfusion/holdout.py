"""Lay out one split of the internal series for an evaluation.

    python -m models.perfusion.holdout --data ../shared/data/perfusion/internal --into results/test
    vesalius evaluate perfusion --images results/test --labels results/test

The files are linked, not copied.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.perfusion.series import label_path, series_paths

SPLITS = ("train", "validation", "test")


def lay_out(data: Path, split: str, folder: Path) -> int:
    """Link the images and labels of a split into a folder, and return how many series they are."""
    folder.mkdir(parents=True, exist_ok=True)
    images = series_paths(data, split)
    for path in (*images, *map(label_path, images)):
        link = folder / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
    return len(images)


def main(arguments: Sequence[str] | None = None) -> None:
    """Lay out what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the internal series")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--into", type=Path, required=True, help="folder for the links")
    options = parser.parse_args(arguments)
    n_series = lay_out(options.data, options.split, options.into)
    print(f"{n_series} {options.split} series in {options.into}")


if __name__ == "__main__":
    main()
