"""The model folder, called bundle in code: a folder that is a model.

    model.json            what it is, how to prepare an image, what its scores mean
    encoder.safetensors   the weights, by the name of the kind of model: encoder, linkage
    encoder.onnx          the same function for a machine without torch (optional)
    trained_images.npy    digests of the images it was trained on, 8 bytes each (optional)

The runtime executes what `model.json` says about preparing an image. The folder is read strictly:
it is refused with a key too many or too few, or with a file whose digest differs.
"""

from arcwise.bundle.length_reading import LengthReading
from arcwise.bundle.linkage import LinkageBundle, read_linkage, write_linkage
from arcwise.bundle.model_folder import Bundle, read_bundle, reference_image
from arcwise.bundle.saving import add_length, add_onnx, add_thresholds, write_bundle

__all__ = [
    "Bundle",
    "LengthReading",
    "LinkageBundle",
    "add_length",
    "add_onnx",
    "add_thresholds",
    "read_bundle",
    "read_linkage",
    "reference_image",
    "write_bundle",
    "write_linkage",
]
