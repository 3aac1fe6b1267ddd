"""How robust an arm is to its settings: the share of its search space that is nearly as good as its best.

«Within 2 %» are the settings whose expected metric on test, over seeds, is at least 0.98 times that of the
settings that tuning chose. The share is of the measure that trials are drawn from: of 10 % on a logarithmic
range, one trial in ten lands there. An arm of two settings has to be right in both, so its share tends to be
smaller; that is what it costs to have them. Settings at which training diverges are never within.

The best is the chosen settings' metric, known from the final runs, and not the highest number of a trial:
that one is high by luck too, the more so the more trials there are, and every share below it too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wrs_mm.bench.statistics.landscape import Landscape

WITHIN = (0.01, 0.02, 0.05)
"""How far below the best settings may be, as a part of its metric."""


class Share(NamedTuple):
    """A share of the search space.

    Attributes:
        within: How far below the best its settings may be, as a part of its metric.
        share: Estimate, from 0 to 1.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    within: float
    share: float
    low: float
    high: float


def shares_near_best(
    found: Landscape, within: Sequence[float] = WITHIN, confidence: float = 0.95
) -> list[Share]:
    """The shares of the search space that are nearly as good as the chosen settings.

    Args:
        found: What is known of the arm's metric.
        within: How near, as parts of the metric.
        confidence: Of the intervals.
    """
    tail = (1 - confidence) / 2
    listed = []
    for part in within:
        near = found.trains & (found.metric >= (1 - part) * found.at_best[:, None])
        low, share, high = np.quantile(near.mean(1), [tail, 0.5, 1 - tail])
        listed.append(Share(part, float(share), float(low), float(high)))
    return listed
