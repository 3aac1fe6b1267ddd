"""A backbone of mmdet or mmseg, the mean over its last features, and a linear layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.nn import functional

_HEAD_STD = 0.01
"""Standard deviation of the linear layer's weights at the start, mmpretrain's; biases start at 0."""


@MODELS.register_module()
class BackboneClassifier(BaseModel):
    """A classifier whose backbone is the one that a detector or a segmentor has.

    Its weights are named ``backbone.…`` and ``head.fc.…``, as mmpretrain's classifiers name theirs.

    Args:
        backbone: Config of the backbone, with its toolbox's scope: ``dict(type='mmdet.ResNet', …)``.
        in_channels: Channels of the backbone's last features.
        num_classes: Number of classes.
        label_smoothing: Share of a target's weight that all classes get alike.
        data_preprocessor: As of mmengine's models.
        init_cfg: As of mmengine's models.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        in_channels: int,
        num_classes: int,
        label_smoothing: float = 0.0,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(in_channels, num_classes)
            )
        )
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing

    def init_weights(self) -> None:
        """Initialize the head here, and the rest by what the backbone says of itself."""
        nn.init.normal_(self.head.fc.weight, std=_HEAD_STD)
        nn.init.zeros_(self.head.fc.bias)
        super().init_weights()

    def forward(
        self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None, mode: str = "tensor"
    ) -> Any:
        """As of mmengine's models.

        Args:
            inputs: Images, shape (N, channels, H, W).
            data_samples: Each with its ``gt_label``, shape (1,), where the loss is asked for; predictions go
                to ``pred_score``, shape (classes,), and ``pred_label``.
            mode: ``tensor`` for scores before the softmax, ``loss`` or ``predict``.
        """
        features = self.backbone(inputs)
        scores = self.head(features[-1] if isinstance(features, (tuple, list)) else features)
        if mode == "tensor":
            return scores
        if mode == "loss":
            assert data_samples is not None, "a loss needs labels"
            labels = scores.new_tensor([int(sample.gt_label) for sample in data_samples]).long()
            loss = functional.cross_entropy(scores, labels, label_smoothing=self.label_smoothing)
            return {"loss": loss}
        samples = [BaseDataElement() for _ in scores] if data_samples is None else list(data_samples)
        for sample, score in zip(samples, scores.softmax(dim=1), strict=True):
            sample.pred_score = score
            sample.pred_label = score.argmax(dim=0, keepdim=True)
        return samples
