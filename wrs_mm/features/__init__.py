"""What filters see: the patches of their inputs, and the span of these, out of which no gradient leads."""

from __future__ import annotations
