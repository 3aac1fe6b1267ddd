"""Where predictions lie, and whose a report shows."""

from __future__ import annotations

from wrs_mm.bench.runs.predictions import gallery


def test_the_gallery_does_not_depend_on_order_or_on_folders():
    names = [f"{number}.png" for number in range(50)]
    assert gallery(names) == gallery(reversed(names))
    assert [name.rsplit("/")[-1] for name in gallery(f"a/b/{name}" for name in names)] == gallery(names)
    assert len(set(gallery(names))) == 4
