"""What a phone or a scanner adds: effects on a grey float32 image (H, W), 0..255, which keep its size."""

from collections.abc import Callable

import cv2
import numpy as np

from netchu.synthesis import Rng
from netchu.synthesis.sheet import soft_field


def tilt(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The sheet is turned a little and seen at an angle."""
    height, width = image.shape
    angle = np.clip(rng.normal(0.0, 0.006), -0.012, 0.012) * min(1.0, 12 * height / width)
    shear, grow = rng.normal(0.0, 0.06), 1.0 + rng.normal(0.0, 0.02)
    matrix = np.array([[1.0, shear, -shear * height / 2], [angle, grow, (1 - grow) * height / 2 - angle * width / 2]])
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def defocus(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The lens was not quite in focus."""
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.9) * image.shape[0] / 64)


def shake(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The hand moved while the picture was taken."""
    length = max(3, int(rng.uniform(2, 5) * image.shape[0] / 64) | 1)
    kernel = np.zeros((length, length), np.float32)
    reach = rng.uniform(-0.5, 0.5) * length
    middle = length // 2
    cv2.line(kernel, (0, int(middle - reach)), (length - 1, int(middle + reach)), 1.0, 1)
    return cv2.filter2D(image, cv2.CV_32F, kernel / max(float(kernel.sum()), 1e-6), borderType=cv2.BORDER_REPLICATE)


def shrink(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The picture was stored small and enlarged again."""
    height, width = image.shape
    factor = rng.uniform(0.55, 0.85)
    small = cv2.resize(image, (max(1, int(width * factor)), max(1, int(height * factor))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def sharpen(image: np.ndarray, rng: Rng) -> np.ndarray:
    """A phone's sharpening: light halos around the strokes."""
    soft = cv2.GaussianBlur(image, (0, 0), 1.6 * image.shape[0] / 64)
    return np.asarray(image + rng.uniform(0.2, 0.8) * (image - soft))


def bleach(image: np.ndarray, rng: Rng) -> np.ndarray:
    """A scanner's or an app's contrast stretch: the paper turns white and faint ink fades."""
    white = float(np.percentile(image[:, ::4], 60)) - rng.uniform(0, 12)
    return (image - 30.0) * (255.0 / max(white - 30.0, 40.0))


def grain(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Sensor noise."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(image + np.float32(rng.uniform(0.5, 3.0)) * noise)


def blotch(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Dim patches: creases, shadows, dirt."""
    field = soft_field(image.shape, image.shape[0] * rng.uniform(0.5, 2.0), rng)
    return np.asarray(image - np.float32(rng.uniform(2, 9)) * np.maximum(field, 0.0))


def jpeg(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Stored as a strongly compressed JPEG on the way."""
    quality = int(rng.integers(35, 85))
    _, data = cv2.imencode(".jpg", np.clip(image, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)


CAMERA: dict[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    effect.__name__: effect for effect in (blotch, tilt, defocus, shake, shrink, sharpen, bleach, grain, jpeg)
}
