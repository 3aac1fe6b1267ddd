"""Plans as small as they can be, to which a test adds lines or in which it replaces some."""

from __future__ import annotations

GOOD = """# Line 1
name: two
recipes: [first, second.py]
regularizers: [none, wd, wrs]
seeds: [0, 1]
baseline: wd
"""
"""Of two recipes that nobody resolves."""

SMALL = """name: small
recipes: [small]
regularizers: [none, wd, wrs]
seeds: [0, 1]
baseline: wd
"""
"""Of the recipe of small_recipe.py."""

TUNING = """split: tune
tuning:
  trials: 4
  search:
    lr: [0.02, 1.0]
    wd: {weight_decay: [1.0e-5, 1.0e-1]}
    wrs: {}
  seeds: [100]
"""
"""Lines that tune the arms of both, from line 7 on."""
