"""SigPy: ESPIRiT and l1-wavelets of undersampled samples, for each weight.

    python sigpyrecon.py KSPACE.npy IMAGES.npy CENTRE WEIGHT...

Samples have shape (coils, ky, kx) and are scaled so that the image is about one. Prints the times
[s] of the sensitivities and of each image; the images go to IMAGES.npy.
"""

import json
import sys
from time import perf_counter

import numpy as np
from sigpy.mri.app import EspiritCalib, L1WaveletRecon

ITERATIONS = 30
"""As many as BART makes by default; SigPy's own default is 100."""


def main() -> None:
    kspace_file, images_file, centre, *weights = sys.argv[1:]
    kspace = np.load(kspace_file)
    small = kspace[:, :32, :32]
    # What is compiled or planned at the first call is not counted.
    L1WaveletRecon(small, np.ones_like(small), 0.01, max_iter=1, show_pbar=False).run()
    began = perf_counter()
    # Uncropped, as for BART: with a small centre the default cuts holes into the object.
    maps = EspiritCalib(kspace, calib_width=int(centre), crop=0, show_pbar=False).run()
    of_maps, of_images, images = perf_counter() - began, [], []
    for weight in weights:
        began = perf_counter()
        solver = L1WaveletRecon(kspace, maps, float(weight), max_iter=ITERATIONS, show_pbar=False)
        images.append(solver.run())
        of_images.append(perf_counter() - began)
    np.save(images_file, np.stack(images))
    print(json.dumps({"maps_s": of_maps, "images_s": of_images}))


if __name__ == "__main__":
    main()
