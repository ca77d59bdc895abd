"""Small MONAI bundles in the Model Zoo's layout, and CT series to try them on.

Weights are random from a fixed seed, and scaled so that labels have structure: a network as MONAI
makes it would label everything alike.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.networks import nets
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from scipy.ndimage import gaussian_filter

from pipeline.demo import write_instance
from pipeline.imaging.volume import Volume

MANIFEST = """
name = "organs"

[takes]
modality = ["CT", "NIFTI"]
slices = { min = 4 }

[[labels]]
value = 1
name = "liver"
category = { code = "123037004", meaning = "Anatomical Structure" }
type = { code = "10200004", meaning = "Liver" }
colour = "#dd8265"

[[labels]]
value = 2
name = "spleen"
label = "Spleen"
category = { code = "123037004", meaning = "Anatomical Structure" }
type = { code = "78961009", meaning = "Spleen" }
"""

UNET = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "channels": [4, 8, 16],
    "strides": [2, 2],
    "num_res_units": 1,
    "norm": "instance",
}
SEGRESNET = {
    "_target_": "monai.networks.nets.SegResNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "init_filters": 8,
    "blocks_down": [1, 2],
    "blocks_up": [1],
}

CONFIG: dict[str, Any] = {
    "imports": ["$import glob", "$import os"],
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/eval'",
    "dataset_dir": "/nowhere",
    "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "image_key": "image",
    "spacing": [2.0, 2.0, 3.0],
    "window": "$[16, 8 * 2, 16]",
    "network_def": UNET,
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": ["image"], "pixdim": "@spacing", "mode": ["bilinear"]},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "image",
                "a_min": -200,
                "a_max": 300,
                "b_min": 0.0,
                "b_max": "$1.0",
                "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
        ],
    },
    "inferer": {
        "_target_": "SlidingWindowInferer",
        "roi_size": "@window",
        "sw_batch_size": 4,
        "overlap": 0.5,
        "padding_mode": "replicate",
        "mode": "gaussian",
    },
    "initialize": ["$setattr(torch.backends.cudnn, 'benchmark', True)"],
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {
                "_target_": "Invertd",
                "keys": "pred",
                "transform": "@preprocessing",
                "orig_keys": "image",
                "nearest_interp": False,
                "to_tensor": True,
            },
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ],
    },
}
"""How a bundle runs, as those of the Model Zoo say it."""

METADATA = {
    "name": "Organs of the abdomen",
    "version": "0.3.1",
    "task": "Segmentation of organs in CT",
    "description": "Random weights, for tests.",
    "authors": "nobody",
    "copyright": "none",
}


def config(**changes: object) -> dict[str, Any]:
    """Return a configuration with some values changed."""
    return {**deepcopy(CONFIG), **changes}


def network(described: Mapping[str, Any]) -> torch.nn.Module:
    """Return a network with weights that make structured labels."""
    torch.manual_seed(3)
    arguments = {k: v for k, v in described.items() if k != "_target_"}
    module = getattr(nets, str(described["_target_"]).rsplit(".", 1)[-1])(**arguments)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1:
                weight *= 1.5
            else:
                weight += 0.1 * torch.randn(weight.shape)
    return module.eval()


def write_zoo_bundle(folder: Path, document: Mapping[str, Any], form: str = "pt") -> Path:
    """Write a bundle and return its folder.

    Parameters
    ----------
    folder
        Its folder, which is made.
    document
        ``configs/inference.json``.
    form
        ``pt`` for a state dict, ``ts`` for TorchScript, ``onnx``, or ``none``.
    """
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(document))
    (folder / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    (folder / "docs" / "README.md").write_text("# Organs\n")
    if form == "none":
        return folder
    module = network(document["network_def"])
    window = torch.zeros(1, 1, 16, 16, 16)
    if form == "pt":
        torch.save(module.state_dict(), folder / "models" / "model.pt")
    elif form == "ts":
        torch.jit.script(module).save(folder / "models" / "model.ts")
    else:
        torch.onnx.export(module, (window,), folder / "models" / "model.onnx", dynamo=False)
    return folder


def sample_volume(seed: int = 1) -> Volume:
    """Return a volume of blurred noise in Hounsfield units, oblique and anisotropic."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(14, 40, 36)), (1, 2.5, 2.5))
    array = np.rint(600 * noise / noise.std() / 2 + 40).astype(np.float32)
    turn = np.deg2rad(8)
    directions = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, 0] = 2.5 * directions[:, 2]
    affine[:3, 1] = 1.1 * directions[:, 1]
    affine[:3, 2] = 0.9 * directions[:, 0]
    affine[:3, 3] = -20, -30, 100
    return Volume(array=array, affine=affine, frame_of_reference_uid="1.2.826.0.1.3680043.8.498.7")


def ct_instance(volume: Volume, index: int) -> Dataset:
    """Return a slice as a CT Image Storage instance: stored values are HU + 1024."""
    instance = Dataset()
    uid = "1.2.826.0.1.3680043.8.498.11"
    instance.SOPClassUID, instance.SOPInstanceUID = CTImageStorage, f"{uid}.3.{index + 1}"
    instance.StudyInstanceUID, instance.SeriesInstanceUID = f"{uid}.1", f"{uid}.2"
    instance.FrameOfReferenceUID = volume.frame_of_reference_uid
    instance.PatientID, instance.PatientName = "T1", "Test^Volume"
    instance.PatientBirthDate, instance.PatientSex = "19700101", "O"
    instance.StudyID, instance.AccessionNumber, instance.ReferringPhysicianName = "1", "", ""
    instance.StudyDate = instance.SeriesDate = instance.ContentDate = "20260301"
    instance.StudyTime = instance.SeriesTime = instance.ContentTime = "101010"
    instance.Modality, instance.Manufacturer = "CT", "Test"
    instance.PositionReferenceIndicator, instance.PatientPosition = "", "HFS"
    instance.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    instance.SeriesNumber, instance.AcquisitionNumber = 2, 1
    instance.InstanceNumber, instance.KVP, instance.ConvolutionKernel = index + 1, 120, "B30f"
    _place(instance, volume, index)
    stored: NDArray[np.int16] = (volume.array[index] + 1024).astype(np.int16)
    instance.Rows, instance.Columns = stored.shape
    instance.SamplesPerPixel, instance.PhotometricInterpretation = 1, "MONOCHROME2"
    instance.BitsAllocated, instance.BitsStored, instance.HighBit = 16, 16, 15
    instance.PixelRepresentation = 1
    instance.RescaleSlope, instance.RescaleIntercept, instance.RescaleType = 1, -1024, "HU"
    instance.PixelData = stored.tobytes()
    return instance


def write_ct(volume: Volume, folder: Path) -> Path:
    """Write a volume as a CT series and return its folder."""
    folder.mkdir(parents=True)
    for index in range(len(volume.array)):
        write_instance(ct_instance(volume, index), folder / f"{index:03}.dcm")
    return folder


def _place(instance: Dataset, volume: Volume, index: int) -> None:
    """Say where a slice lies."""
    spacing = volume.spacing_mm
    position = volume.affine[:3, 3] + index * volume.affine[:3, 0]
    cosines = [*(volume.affine[:3, 2] / spacing[2]), *(volume.affine[:3, 1] / spacing[1])]
    instance.ImagePositionPatient = [f"{v:.8g}"[:16] for v in position]
    instance.ImageOrientationPatient = [f"{v:.9f}"[:16] for v in cosines]
    instance.PixelSpacing = [f"{spacing[1]:.8g}", f"{spacing[2]:.8g}"]
    instance.SliceThickness = f"{spacing[0]:.8g}"
