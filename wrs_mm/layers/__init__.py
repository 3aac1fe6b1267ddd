"""Models with other layers than their toolbox gives them. Importing it registers the builders with mmengine.

A builder stands in a config for the model: ``model=dict(type='WeightStandardized', of='FasterRCNN', …)``
builds the FasterRCNN of the other keys and changes layers in place, so that whoever builds the model from the
config (a Runner, an inferencer, the audit) has it, under the names of parameters that it had.
"""

from __future__ import annotations

from wrs_mm.layers.independent_components import IndependentConv2d, independent_components
from wrs_mm.layers.weight_standardization import weight_standardized

__all__ = ["IndependentConv2d", "independent_components", "weight_standardized"]
