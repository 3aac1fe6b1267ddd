"""The tables of what trainings did to their weights, and of how sharp their losses were."""

from __future__ import annotations

from collections.abc import Iterable

from wrs_mm.bench.report.labels import scenario_of
from wrs_mm.bench.report.tables.base import Table
from wrs_mm.bench.report.tables.equilibria import equilibria_table
from wrs_mm.bench.report.tables.sharpness import sharpness_table
from wrs_mm.bench.report.tables.weights import weights_table
from wrs_mm.bench.statistics.benchmark import RunData, by_scenario
from wrs_mm.bench.statistics.dynamics import watched_runs
from wrs_mm.bench.statistics.equilibria import equilibria
from wrs_mm.bench.statistics.sharpness import last_sharpness, sharp_runs
from wrs_mm.bench.statistics.weights import arm_weights


def trained_tables(runs: Iterable[RunData]) -> list[Table]:
    """Recipe by recipe; none of runs that have measured nothing of the kind.

    Args:
        runs: Final runs, with details.
    """
    made: list[Table | None] = []
    for group in by_scenario(runs):
        where = scenario_of(group[0].spec.scenario)
        watched = watched_runs(group)
        made.append(weights_table(where, arm_weights(group, watched)))
        predicted = equilibria_table(equilibria(watched)) if watched.runs else None
        if predicted is not None:
            # On the page it stands below its recipe's heading.
            made.append(predicted._replace(title=f"{where}: measured over predicted, in equilibrium"))
        if sharp := sharp_runs(group):
            made.append(sharpness_table(where, last_sharpness(sharp)))
    return [table for table in made if table is not None]
