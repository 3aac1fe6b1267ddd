"""``report.html``: one file with everything in it, which opens without a network.

plotly's JavaScript is inlined, compressed (1.5 of 4.8 MB); the page unpacks it. Jinja2 escapes what users
named, and the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wrs_mm import __version__
from wrs_mm.bench.plan.differences import config_values, differing
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.report.answers import answers
from wrs_mm.bench.report.files import Report
from wrs_mm.bench.report.tables import (
    NONE,
    Cell,
    Row,
    Table,
    arm_order,
    number,
    over_images,
    sensitivities,
    setting,
)
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.runs.predictions import COUNTS, FOLDER
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.over_images import Trained
from wrs_mm.errors import ConfigError
from wrs_mm.files import write_text

if TYPE_CHECKING:
    from wrs_mm.bench.report.figures.base import Figure
    from wrs_mm.bench.report.gallery import Gallery

NAME = "report.html"


class Settings(NamedTuple):
    """What differed between the arms of one recipe.

    Attributes:
        title: The recipe.
        arms: Labels, the baseline's first.
        rows: A key and its value in each arm.
    """

    title: str
    arms: list[str]
    rows: list[tuple[str, list[str]]]


def require_packages() -> None:
    """Check that what draws the page is installed.

    Raises:
        ConfigError: It is not; the message says how to install it.
    """
    missing = [name for name in ("plotly", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the report needs {' and '.join(missing)}; run `pip install -c constraints.txt -e '.[report]'`"
        )


def write_page(work_dir: WorkDir, report: Report) -> Path:
    """Write ``report.html``.

    Args:
        work_dir: The work dir.
        report: What :func:`wrs_mm.bench.report.files.collect` found.

    Returns:
        Where it is.

    Raises:
        ConfigError: Plotly or Jinja2 is not installed.
    """
    require_packages()
    path = work_dir.path / NAME
    write_text(path, render(work_dir, report))
    return path


def render(work_dir: WorkDir, report: Report) -> str:
    """The page as text."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from wrs_mm.bench.report.figures.base import colors
    from wrs_mm.bench.report.figures.forest import differences_to_baseline
    from wrs_mm.bench.report.figures.sweeps import sweep_plots

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wrs_mm.bench.report", "template"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    specs = work_dir.specs()
    palette = colors(_arms(specs))
    by_recipe = _Recipes(work_dir, specs, report)
    folder = Path(__file__).parent / "template"
    return environment.get_template("report.html").render(
        name=work_dir.name,
        work_dir=str(work_dir.path),
        version=__version__,
        states=_states(work_dir, specs),
        palette=palette,
        answers=answers(report.summaries["last"], report.images),
        comparisons=report.comparisons(),
        images=over_images(report.images),
        differences=differences_to_baseline(report.summaries["last"], report.images, palette),
        curves=by_recipe.curves(palette),
        sensitivities=[table for swept in report.sweeps.values() for table in sensitivities(swept)],
        sweeps=[plot for swept in report.sweeps.values() for plot in sweep_plots(report.results, swept)],
        classes=by_recipe.classes(palette),
        galleries=by_recipe.galleries(),
        settings=by_recipe.settings(),
        runs=_runs_table(work_dir, specs),
        versions=_versions(work_dir, specs),
        machines=_machines(work_dir, specs),
        plan=_plan(work_dir),
        notes=report.notes,
        example=specs[0].id if specs else None,
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),
        script=Markup((folder / "report.js").read_text(encoding="utf-8")),
        plotly=base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode(),
    )


def _arms(specs: Iterable[RunSpec]) -> list[str]:
    """Labels of the arms, the baseline's first."""
    return list(dict.fromkeys(spec.arm_label for spec in sorted(specs, key=_order)))


def _order(spec: RunSpec) -> tuple[Any, ...]:
    return not spec.baseline, arm_order(spec.regularizer, spec.options)


def _states(work_dir: WorkDir, specs: Iterable[RunSpec]) -> dict[str, int]:
    """How many runs are in each state, without the states that none is in."""
    found = [work_dir.run(spec).status().value for spec in specs]
    return {state.value: found.count(state.value) for state in Status if state.value in found}


class _Recipes:
    """The parts of the page that show one recipe at a time."""

    def __init__(self, work_dir: WorkDir, specs: list[RunSpec], report: Report) -> None:
        self._work_dir = work_dir
        self._report = report
        self._settings: dict[str, list[RunSpec]] = {}
        for spec in sorted(specs, key=_order):
            self._settings.setdefault(_title(spec), []).append(spec)
        self._trained = {one.spec.id: one for one in report.trained}

    def _metric(self, specs: list[RunSpec]) -> tuple[str, str] | None:
        """Task and main metric of a recipe."""
        results = self._report.results
        rows = results[results["run"].isin([spec.id for spec in specs])]
        for task, main in MAIN.items():
            for metric in main:
                if ((rows["task"] == task) & (rows["metric"] == metric)).any():
                    return task, metric
        return None

    def curves(self, palette: dict[str, str]) -> list[Figure]:
        """Training loss and main metric of each recipe."""
        from wrs_mm.bench.report import curves
        from wrs_mm.bench.report.figures import curves as figure

        made = []
        for title, specs in self._settings.items():
            main = self._metric(specs)
            losses: dict[str, list[curves.Series]] = {}
            measured: dict[str, list[curves.Series]] = {}
            diverged: dict[str, list[int]] = {}
            for spec in specs:
                run, arm = self._work_dir.run(spec), spec.arm_label
                losses.setdefault(arm, []).append(curves.training_losses(run))
                if main is not None:
                    measured.setdefault(arm, []).append(curves.validations(run, main[1], main[0]))
                result = run.result()
                if result is not None and result.status is Status.DIVERGED:
                    diverged.setdefault(arm, []).append(result.iteration)
            for what, unit, by_arm in (
                ("training loss", "loss", losses),
                (f"validation {main[1]}" if main else "", "percent", measured),
            ):
                drawn = {arm: curves.over_seeds(series) for arm, series in by_arm.items()}
                drawn = {arm: curve for arm, curve in drawn.items() if curve.steps}
                if drawn:
                    made.append(figure.curves(f"{title}: {what}", unit, drawn, diverged, palette))
        return made

    def classes(self, palette: dict[str, str]) -> list[Figure]:
        """Differences to the baseline class by class, of each recipe and kind of prediction."""
        from wrs_mm.bench.report.figures.classes import class_differences

        made = []
        for title, specs in self._settings.items():
            trained = [self._trained[spec.id] for spec in specs if spec.id in self._trained]
            for prefix, name in (("bbox_", "box AP"), ("segm_", "mask AP"), ("", "IoU")):
                by_arm = _by_class(trained, prefix)
                if any(by_arm.values()):
                    made.append(
                        class_differences(
                            f"{title}: {name} by class",
                            f"points of {name} against the baseline",
                            by_arm,
                            palette,
                        )
                    )
        return made

    def galleries(self) -> list[Gallery]:
        """Ground truth, baseline and weight rescaling side by side, of each recipe."""
        from wrs_mm.bench.report.gallery import make_gallery

        made = []
        for title, specs in self._settings.items():
            done = [spec for spec in specs if spec.id in self._trained and self._has_predictions(spec)]
            pair = _shown_pair(done)
            if pair is None:
                continue
            runs = [(spec.arm_label, self._work_dir.run(spec)) for spec in pair]
            drawn = make_gallery(f"{title}, seed {pair[0].seed}", runs)
            if drawn is not None:
                made.append(drawn)
        return made

    def _has_predictions(self, spec: RunSpec) -> bool:
        folder = self._work_dir.run(spec).folder / FOLDER
        return (folder / COUNTS).is_file() or any(folder.glob("val.*.json"))

    def settings(self) -> list[Settings]:
        """What differed between the arms, from the configs that the runs trained with."""
        from mmengine.config import Config

        made = []
        for title, specs in self._settings.items():
            first: dict[str, RunSpec] = {}
            for spec in specs:
                if self._work_dir.run(spec).config.is_file():
                    first.setdefault(spec.arm_label, spec)
            contents = [
                config_values(Config.fromfile(self._work_dir.run(spec).config).to_dict())
                for spec in first.values()
            ]
            for content in contents:
                content.pop("randomness.seed", None)
            rows = [(key, [_shown(value) for value in values]) for key, values in differing(contents).items()]
            made.append(Settings(title, list(first), rows))
        return made


def _title(spec: RunSpec) -> str:
    """Recipe, optimizer and learning rate: what arms are compared within."""
    return setting(
        {"recipe": spec.recipe, "optimizer": spec.optimizer_label, "learning_rate": spec.learning_rate}
    )


def _by_class(trained: list[Trained], prefix: str) -> dict[str, dict[str, list[float]]]:
    """By arm and class, the differences to the baseline over seeds."""
    values: dict[tuple[str, int], dict[str, float]] = {}
    for one in trained:
        for evaluation in one.evaluations:
            if evaluation.prefix == prefix:
                by_class = evaluation.found.by_class().tolist()
                values[one.spec.arm_label, one.spec.seed] = dict(
                    zip(evaluation.classes, by_class, strict=True)
                )
    baseline = next((one.spec.arm_label for one in trained if one.spec.baseline), None)
    found: dict[str, dict[str, list[float]]] = {}
    for (arm, seed), classes in values.items():
        other = values.get((baseline, seed)) if baseline is not None else None
        if arm == baseline or other is None:
            continue
        for name, value in classes.items():
            # A class without objects has no value (NaN is not equal to itself).
            if value == value and other.get(name, value) == other.get(name, value) and name in other:
                found.setdefault(arm, {}).setdefault(name, []).append(value - other[name])
    return found


def _shown_pair(specs: list[RunSpec]) -> tuple[RunSpec, RunSpec] | None:
    """The baseline and the arm beside it: weight rescaling where the plan has it; of one seed."""
    for baseline in sorted((spec for spec in specs if spec.baseline), key=lambda spec: spec.seed):
        others = [spec for spec in specs if spec.seed == baseline.seed and not spec.baseline]
        others.sort(key=lambda spec: spec.regularizer != "wrs")
        if others:
            return baseline, others[0]
    return None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)


def _runs_table(work_dir: WorkDir, specs: list[RunSpec]) -> Table:
    """Every run with its state, time and memory."""
    rows = []
    for spec in specs:
        run = work_dir.run(spec)
        result = run.result()
        cells = [Cell(spec.id), Cell(run.status().value)]
        if result is None:
            cells += [Cell(NONE)] * 4 + [Cell("")]
        else:
            memory = result.peak_memory
            best = result.best
            cells += [
                Cell(str(result.iteration), result.iteration),
                Cell(number(result.seconds / 60), result.seconds),
                Cell(NONE) if memory is None else Cell(f"{memory:.0f}", memory),
                Cell(NONE) if best is None else Cell(str(best.iteration), best.iteration),
                Cell(result.reason or ""),
            ]
        rows.append(Row(spec.arm_label, cells))
    header = ["run", "state", "iterations", "minutes", "peak memory (MiB)", "best at", "why not done"]
    return Table("", "", header, [False, False, True, True, True, True, False], rows)


def _versions(work_dir: WorkDir, specs: list[RunSpec]) -> dict[str, str]:
    """Versions by package; several, where runs differ."""
    found: dict[str, dict[str, None]] = {}
    for spec in specs:
        result = work_dir.run(spec).result()
        for package, version in (result.versions if result else {}).items():
            found.setdefault(package, {})[version] = None
    return {package: ", ".join(versions) for package, versions in found.items()}


def _machines(work_dir: WorkDir, specs: list[RunSpec]) -> list[str]:
    """The kinds of machine that runs were trained on, and how many each."""
    counts: dict[str, int] = {}
    for spec in specs:
        result = work_dir.run(spec).result()
        if result is None or not result.device:
            continue
        words = [result.device]
        words += [f"{result.processes} processes"] if result.processes > 1 else []
        if result.threads:
            words.append(f"{result.threads} CPU thread{'s' if result.threads > 1 else ''}")
        counts[", ".join(words)] = counts.get(", ".join(words), 0) + 1
    return [f"{words}: {count} run{'s' if count > 1 else ''}" for words, count in counts.items()]


def _plan(work_dir: WorkDir) -> str | None:
    """The plan as it was written; None in a work dir of an older version."""
    path = work_dir.path / "plan.yaml"
    return path.read_text(encoding="utf-8") if path.is_file() else None
