"""Images and their place in the patient: pure numpy, no DICOM, no files but NIfTI."""
