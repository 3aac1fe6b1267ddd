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
