import xml.etree.ElementTree as ET

import matplotlib
from matplotlib.figure import Figure
from results_builder import make_results

from lstm_bench.analysis.tables.cost import pareto
from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.analysis.tables.select import trial_runs
from lstm_bench.metrics import METRICS
from lstm_bench.report.figures.confusion import confusion_matrix, plot_confusion
from lstm_bench.report.figures.curves import plot_curves
from lstm_bench.report.figures.style import (
    INK,
    PALETTE,
    configuration_colours,
    figure_svg,
)
from lstm_bench.report.figures.training import plot_run_curves
from lstm_bench.report.sections.axes import axis_effect, plot_axis_effect
from lstm_bench.report.sections.cost import plot_pareto
from lstm_bench.report.sections.curves import run_curves
from lstm_bench.report.sections.heads import plot_heads
from lstm_bench.report.sections.importance import importance, plot_importance
from lstm_bench.report.sections.leaderboard import plot_objective_history

ACCURACY = METRICS["accuracy"]


def learning_curves(results) -> Figure:
    curves, board = results.curves, leaderboard(results)
    rows = curves[(curves["split"] == "val") & (curves["metric"] == "accuracy")]
    colours = configuration_colours(board["config_id"].tolist())
    runs = board.assign(name=board["label"])
    return plot_curves(run_curves(rows, runs, colours), "validation accuracy")


def confusion(y_true, y_pred, class_names) -> Figure:
    counts = confusion_matrix(y_true, y_pred, len(class_names))
    return plot_confusion([("a model", counts)], class_names)


def all_figures() -> dict[str, Figure]:
    results = make_results()
    trials = trial_runs(results)
    epochs = [{"epoch": 1, "train_loss": 0.7, "val_loss": 0.6}]
    return {
        "curves": learning_curves(results),
        "axis": plot_axis_effect(
            trials, axis_effect(results, "units"), "units", ACCURACY
        ),
        "heads": plot_heads(trials, trials, ACCURACY),
        "importance": plot_importance(importance(results)),
        "pareto": plot_pareto(pareto(results), ACCURACY),
        "confusion": confusion([0, 1], [0, 0], ["a$", "b$"]),
        "run": plot_run_curves(epochs, "loss"),
        "history": plot_objective_history(trials, trials, ACCURACY),
    }


def test_every_figure_becomes_well_formed_svg_with_labelled_axes():
    for name, fig in all_figures().items():
        ET.fromstring(figure_svg(fig, alt='a "quoted" <name>'))
        assert fig.axes[0].get_xlabel() or name == "heads"


def test_objectives_are_labelled_as_validation():
    drawn = all_figures()
    for name in ("curves", "axis", "heads", "pareto", "history"):
        assert drawn[name].axes[0].get_ylabel() == "validation accuracy"


def test_equal_figures_give_equal_bytes():
    first, second = (figure_svg(all_figures()["curves"]) for _ in range(2))
    assert first == second


def test_ids_of_figures_do_not_clash():
    ids: list[str] = []
    for fig in all_figures().values():
        root = ET.fromstring(figure_svg(fig))
        ids += [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))


def test_text_of_a_drawing_is_escaped_text_in_the_pages_colour():
    fig = confusion([0, 1], [0, 1], ["<b>$x$", "影"])
    svg = figure_svg(fig)
    assert "&lt;b&gt;$x$" in svg
    assert INK not in svg
    assert "currentColor" in svg


def test_confusion_matrix_counts_rows_by_true_class():
    fig = confusion([0, 0, 1], [0, 1, 1], ["neg", "pos"])
    texts = [t.get_text() for t in fig.axes[0].texts]
    assert texts == ["50.0%\n1", "50.0%\n1", "0.0%\n0", "100.0%\n1"]


def test_colours_follow_the_configuration():
    colours = configuration_colours(["a", "b", "a"])
    assert colours == {"a": PALETTE[0], "b": PALETTE[1]}
    fig = learning_curves(make_results())
    assert fig.axes[0].lines[-1].get_color() == PALETTE[0]


def test_drawing_leaves_the_callers_settings_alone_and_does_not_use_them():
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30}):
        before = dict(matplotlib.rcParams)
        svg = figure_svg(learning_curves(make_results()))
        assert dict(matplotlib.rcParams) == before
    assert svg == figure_svg(learning_curves(make_results()))
