"""``report.html``: one file with everything in it, which opens without a network.

plotly's JavaScript is inlined, compressed (1.5 of 4.8 MB); the page unpacks it. Jinja2 escapes what users
named, and the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import base64
import gzip
import importlib.util
from pathlib import Path

from wrs_mm import __version__
from wrs_mm.bench.plan.spec import Split
from wrs_mm.bench.report.answers import answers
from wrs_mm.bench.report.files import Report
from wrs_mm.bench.report.labels import SPLITS
from wrs_mm.bench.report.tables.effort import effort_table
from wrs_mm.bench.report.tables.gaps import gap_table
from wrs_mm.bench.report.tables.over_images import image_tables
from wrs_mm.bench.report.tables.robustness import robustness_table
from wrs_mm.bench.report.tables.runs import runs_table
from wrs_mm.bench.report.tables.settings import warnings
from wrs_mm.bench.report.tables.trials import trials_table
from wrs_mm.bench.statistics.benchmark import by_arm, by_scenario, in_arm_order, without_trials
from wrs_mm.bench.statistics.dynamics import MARGIN
from wrs_mm.bench.statistics.provenance import Machine, machines, states, versions
from wrs_mm.bench.statistics.tuned import by_tuned_scenario
from wrs_mm.errors import ConfigError
from wrs_mm.files import write_text
from wrs_mm.values import several

NAME = "report.html"
"""The page's file in a work dir."""


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


def write_page(report: Report) -> Path:
    """Write ``report.html``.

    Args:
        report: What :func:`wrs_mm.bench.report.files.collect` found, with images.

    Returns:
        Where it is.

    Raises:
        ConfigError: Plotly or Jinja2 is not installed.
    """
    require_packages()
    path = report.benchmark.path / NAME
    write_text(path, render(report))
    return path


def render(report: Report) -> str:
    """The page as text."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from wrs_mm.bench.report.figures.base import colors
    from wrs_mm.bench.report.figures.effort import effort_figure
    from wrs_mm.bench.report.figures.forest import differences_to_baseline
    from wrs_mm.bench.report.figures.sensitivity import sensitivity_figures
    from wrs_mm.bench.report.figures.sweeps import sweep_figures
    from wrs_mm.bench.report.sections import Sections
    from wrs_mm.bench.report.transfers import size_figures, transfer_sections

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wrs_mm.bench.report", "template"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    benchmark = report.benchmark
    runs, last = benchmark.runs, report.summaries["last"]
    compared = without_trials(runs)
    # Also the arms whose trials have led to no final runs (yet).
    palette = colors(by_arm(in_arm_order(runs)))
    evaluated = {one.spec.id: one for one in report.evaluated}
    sections = [Sections(group, evaluated, palette) for group in by_scenario(compared)]
    tested = by_tuned_scenario(one for one in report.tuned if one.search is not None)
    galleries = (section.gallery() for section in sections)
    dynamics = (section.dynamics() for section in sections)
    sharpness = (section.sharpness() for section in sections)
    weights = (section.weights() for section in sections)
    points = report.swept_points()
    folder = Path(__file__).parent / "template"
    return environment.get_template("report.html").render(
        name=benchmark.name,
        work_dir=str(benchmark.path),
        version=__version__,
        states=states(compared),
        trial_states=states([run for run in runs if run.spec.trial is not None]),
        palette=palette,
        answers=answers(last, report.images),
        transfers=transfer_sections(runs),
        sizes=size_figures(runs),
        comparison_tables=report.over_seeds(),
        images=image_tables(report.images),
        differences=differences_to_baseline(last, report.images, palette),
        warnings=warnings(report.tuned),
        split=SPLITS[_split(report)],
        effort=[effort_figure(arms, palette) for arms in tested],
        effort_table=effort_table(report.tuned),
        sensitivity=[figure for arms in tested for figure in sensitivity_figures(arms, palette)],
        robustness=robustness_table(report.tuned),
        learning=[(section.title, section.learning_figures()) for section in sections],
        gaps=gap_table({one.title: (one.metric or "", one.learning) for one in sections}),
        trials=trials_table(report.tuned) if report.tuned else None,
        curves=[figure for section in sections for figure in section.curves()],
        dynamics=[one for one in dynamics if one is not None],
        margin=MARGIN,
        sharpness=[one for one in sharpness if one is not None],
        weights=[one for one in weights if one is not None],
        sensitivities=report.over_sweeps(),
        sweeps=[plot for swept in report.shown(report.sweeps) for plot in sweep_figures(points, swept)],
        classes=[figure for section in sections for figure in section.classes()],
        galleries=[gallery for gallery in galleries if gallery is not None],
        config_differences=[section.config_differences() for section in sections],
        runs=runs_table(compared),
        versions={package: ", ".join(found) for package, found in versions(runs).items()},
        machines=[f"{_words(one)}: {several(count, 'run')}" for one, count in machines(runs).items()],
        plan=benchmark.plan,
        notes=report.notes,
        example=runs[0].spec.id if runs else None,
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),
        script=Markup((folder / "report.js").read_text(encoding="utf-8")),
        plotly=base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode(),
    )


def _split(report: Report) -> Split:
    """Which split the tables are from."""
    compared = without_trials(report.benchmark.runs)
    return compared[0].spec.split if compared else "tune"


def _words(machine: Machine) -> str:
    words = [machine.device]
    words += [f"{machine.processes} processes"] if machine.processes > 1 else []
    words += [several(machine.threads, "CPU thread")] if machine.threads else []
    return ", ".join(words)
