"""The whole probe of a small network; its tables, its pictures and what it writes (tables.py, figures.py)."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import probed
import pytest

from wrs_mm.probe import figures, findings, tables
from wrs_mm.probe.findings import ArmNoise, Growth, Momentum, Orthogonality, RightAngles
from wrs_mm.probe.growth import FixedTime
from wrs_mm.probe.weight_noise import Noise

LAYERS = ("backbone.stem.0.weight", "backbone.layer4.1.conv1.weight")
UPDATES, HALVINGS = 2, 1


@pytest.fixture(scope="module")
def found() -> tuple[Orthogonality, Growth, list[ArmNoise], list[int]]:
    told: list[int] = []
    subject = probed.subject("pspnet", 3)
    recipe = probed.recipe("pspnet")
    return (
        findings.probe_orthogonality(subject, 0.1, UPDATES, told.append),
        findings.probe_growth(subject, 0.1, UPDATES, HALVINGS, told.append),
        findings.probe_noise(subject, recipe, ["none", "wd"], LAYERS, UPDATES, 0.1, told.append),
        told,
    )


def test_it_finds_what_the_equations_say(
    found: tuple[Orthogonality, Growth, list[ArmNoise], list[int]],
) -> None:
    orthogonality, growth, noise, told = found
    assert sum(told) == findings.updates_in_all(UPDATES, HALVINGS, 2)
    assert len(orthogonality.weights) == len(probed.subject("pspnet", 3).verdicts)
    assert sum(w.filters for w in orthogonality.weights) * 2 == orthogonality.grown.shape[1]
    assert max(findings.largest(w.cosines_without_eps) for w in orthogonality.weights) < 1e-12
    assert max(findings.largest(w.cosines) for w in orthogonality.weights) > 1e-8
    assert all(len(w.cosines) == len(w.cosines_without_eps) == w.filters for w in orthogonality.weights)
    assert orthogonality.explained < 1e-12 and orthogonality.residual < 1e-14
    assert growth.momentum.residual < 1e-14 and len(growth.momentum.measured) == 3 * UPDATES
    assert growth.angles["SGD"] < 1e-9 < growth.angles["SGD, momentum 0.9"] < growth.angles["Adam"]
    assert growth.sgd.rates == (0.025, 0.0125) and growth.adam.rates == (1e-3, 5e-4)
    for arm in noise:
        stem, late = arm.layers
        assert set(stem.shares_start) == {0.0} == {stem.fresh} and not stem.course
        assert 0 < late.fresh < 1 and late.residual is not None and late.residual < 1e-14
        assert arm.ranks[LAYERS[0]][-1] == (stem.patches, stem.size)


def test_what_was_found_can_be_written_and_read(
    found: tuple[Orthogonality, Growth, list[ArmNoise], list[int]],
) -> None:
    content = json.loads(json.dumps(tables.plain(found[:3]), allow_nan=False))
    assert content[0]["weights"][0]["weight"] == LAYERS[0] and "grown" not in content[0]
    assert content[2][1]["arm"] == "wd"
    assert tables.plain({"a": (math.nan, 1.5, math.inf)}) == {"a": [None, 1.5, None]}


def test_findings_make_the_same_pictures_each_time(
    found: tuple[Orthogonality, Growth, list[ArmNoise], list[int]], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        figures.draw_orthogonality(found[0], tmp_path / f"{name}0.png")
        figures.draw_growth(found[1], tmp_path / f"{name}1.png")
        figures.draw_noise(found[2], tmp_path / f"{name}2.png")
    contents = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert contents[:3] == contents[3:] and len(set(contents)) == 3
    assert all(content.startswith(b"\x89PNG") for content in contents)


# -- what tables say --------------------------------------------------------------------------------------


def noise(**changes: object) -> Noise:
    made = Noise(
        layer="a.weight",
        size=9,
        patches=5,
        rank=5.0,
        gap=(1e-2, 1e-17),
        fresh=0.25,
        shares_start=(0.5, 0.4, 0.6),
        shares_end=(0.4, 0.4, 0.4),
        course=(1.0, 0.9),
        predicted=(1.0, 0.9),
        residual=2e-16,
        never_fed=12,
        untouched=12,
        untouched_elsewhere=0,
        others=24,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_a_layers_heading_says_rank_and_bits_and_its_rows_what_became_of_the_part_outside() -> None:
    nothing = noise(shares_start=(0.0, 0.0), shares_end=(0.0, 0.0), fresh=math.nan, course=(), predicted=None)
    lines = [
        line.plain
        for line in tables.noise_lines([ArmNoise("wd", (noise(),), {}), ArmNoise("x", (nothing,), {})], None)
    ]
    assert lines[1] == (
        "a.weight: rank 5 of 9, 5 patches, singular values down to 1e-02 of the largest, then 1e-17; "
        "12 weights met only exact zeros, 12 of them unchanged to the bit"
    )
    assert lines[2].split() == [
        "wd",
        "50.00",
        "%",
        "(40.00",
        "to",
        "60.00)",
        "40.00",
        "%",
        "0.900000",
        "0.900000",
        "2e-16",
        "25.00",
        "%",
    ]
    assert lines[3].split() == ["x", "none", "none"]


def test_a_weight_without_a_gradient_has_no_cosine() -> None:
    weights = (
        RightAngles("a.weight", 2, 2, (math.nan,) * 2, (math.nan,) * 2),
        RightAngles("b.weight", 4, 1, (2e-6, math.nan, 1e-6, 5e-7), (3e-16, math.nan, 2e-16, 1e-16)),
    )
    found = Orthogonality(weights, math.nan, np.ones((2, 3)), 1e-16)
    lines = [line.plain.split() for line in tables.orthogonality_lines(found, None)]
    assert lines[1:] == [["a.weight", "2", "2"], ["b.weight", "4", "1", "2.0e-06", "1.0e-06", "3.0e-16"]]


def test_sentences_compare_the_second_half_of_the_updates_with_momentum() -> None:
    steady = FixedTime((0.1, 0.05), (2e-4, 1e-4))
    momentum = Momentum(0.9, 1e-16, (0.0, 1.0, 2.0, 4.0), (5.0, 6.0, 7.0, 8.0))
    growth = Growth(steady, steady, steady, momentum, {"SGD": 1e-13})
    said = " ".join(tables.summary(Orthogonality((), math.nan, np.ones((2, 1)), 1e-16), growth))
    assert "1.50 times what uncorrelated gradients" in said and "⟨y, ∂L/∂y⟩" not in said
    assert steady.ratios == (2.0,) and steady.limit == 0.0
    row = tables.growth_lines(growth, None)[1].plain.split()
    assert row[-4:] == ["2.0e-04", "1.0e-04", "2.00", "0.0e+00"]
