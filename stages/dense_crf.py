"""Dense CRF: moves the border between labels to where the image's colours change."""

import numpy as np
from numpy.typing import NDArray
from pydensecrf.densecrf import DenseCRF2D
from pydensecrf.utils import unary_from_softmax

from stages.settings import CrfSettings


def dense_crf(
    image: NDArray[np.uint8], probabilities: NDArray[np.float32], settings: CrfSettings
) -> NDArray[np.float32]:
    """Label probabilities after mean-field inference in a fully connected CRF.

    image [rows, columns, 3] uint8 RGB; probabilities [labels, rows, columns] float32. Returns the same shape.
    Kraehenbuehl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials", NeurIPS 2011,
    equations 2 and 3: unary energy -log p, a bilateral and a Gaussian kernel, Potts compatibility.
    """
    labels, rows, columns = probabilities.shape
    crf = DenseCRF2D(columns, rows, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(probabilities)))
    crf.addPairwiseGaussian(sxy=settings.gaussian_position, compat=settings.gaussian_weight)
    crf.addPairwiseBilateral(
        sxy=settings.bilateral_position,
        srgb=settings.bilateral_colour,
        rgbim=np.array(image, order="C"),  # pydensecrf wants an array that it could write to
        compat=settings.bilateral_weight,
    )
    return np.array(crf.inference(settings.iterations), dtype=np.float32).reshape(labels, rows, columns)
