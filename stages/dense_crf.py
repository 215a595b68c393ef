"""Dense CRF: moves the border between labels to where the image's colours change."""

import numpy as np
from numpy.typing import NDArray
from pydensecrf.densecrf import DenseCRF2D
from pydensecrf.utils import unary_from_softmax

from stages.settings import CrfSettings


class ImageCrf:
    """The fully connected CRF of one image and a number of labels. Its kernels depend on the image alone, so they are
    built once for all the probabilities that are tried on it.

    Kraehenbuehl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials", NeurIPS 2011,
    equations 2 and 3: unary energy -log p, a bilateral and a Gaussian kernel, Potts compatibility.

    image: [rows, columns, 3] uint8 RGB.
    """

    def __init__(self, image: NDArray[np.uint8], labels: int, settings: CrfSettings) -> None:
        rows, columns = image.shape[:2]
        self.iterations = settings.iterations
        self._crf = DenseCRF2D(columns, rows, labels)
        self._crf.addPairwiseGaussian(sxy=settings.gaussian_position, compat=settings.gaussian_weight)
        self._crf.addPairwiseBilateral(
            sxy=settings.bilateral_position,
            srgb=settings.bilateral_colour,
            rgbim=np.array(image, order="C"),  # pydensecrf wants an array that it could write to
            compat=settings.bilateral_weight,
        )

    def __call__(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Label probabilities after mean-field inference, from [labels, rows, columns] float32 to the same shape."""
        self._crf.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(probabilities)))
        return np.array(self._crf.inference(self.iterations), dtype=np.float32).reshape(probabilities.shape)


def dense_crf(
    image: NDArray[np.uint8], probabilities: NDArray[np.float32], settings: CrfSettings
) -> NDArray[np.float32]:
    """Label probabilities after the CRF of one image: `ImageCrf` for a single use."""
    return ImageCrf(image, len(probabilities), settings)(probabilities)
