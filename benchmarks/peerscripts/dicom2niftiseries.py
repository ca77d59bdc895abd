"""Convert a folder with dicom2nifti: ``python dicom2niftiseries.py FOLDER OUTPUT``.

Prints the seconds that the conversion took, and the shape of what was written. Imports do not
count, as they do not for ours.
"""

import json
import sys
from time import perf_counter

import dicom2nifti
import nibabel

began = perf_counter()
dicom2nifti.dicom_series_to_nifti(sys.argv[1], sys.argv[2], reorient_nifti=False)
seconds = perf_counter() - began
print(json.dumps({"seconds": seconds, "shape": list(nibabel.load(sys.argv[2]).shape)}))
