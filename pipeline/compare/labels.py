"""Labels of a cohort: ``NAME_label.nii.gz`` for ``NAME.nii.gz``, as ``vesalius evaluate``."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.compare.comparison import Truth
from pipeline.evaluate.labelled import ENDINGS, majority
from pipeline.imaging.nifti import read_labels


def labels_in(folder: Path | None) -> Truth:
    """Return what gives the label of an input file; none without a folder.

    Parameters
    ----------
    folder
        Folder of labels. A 4-D label counts by the majority over its labelled beats.
    """

    def truth(path: Path) -> NDArray[np.uint8] | None:
        ending = next((each for each in ENDINGS if path.name.endswith(each)), None)
        if folder is None or ending is None:
            return None
        for other in ENDINGS:
            label = folder / f"{path.name.removesuffix(ending)}_label{other}"
            if label.is_file():
                return majority(read_labels(label))
        return None

    return truth
