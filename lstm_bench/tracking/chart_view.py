"""A prepared chart view of a study in MLflow's UI, and addresses that open it.

MLflow keeps a shared view as JSON in an experiment's tag. That is undocumented: a
later MLflow may ignore it and then shows its usual page instead.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lstm_bench.suites.suite import Suite
from lstm_bench.tracking import names as rec
from lstm_bench.training.result import OBJECTIVE, TRAIN_TIME, metric_key

TAG_PREFIX = "mlflow.sharedViewState."
MAX_RUNS = 100
HIDDEN = ("sweep", "confirm", "baseline", rec.SUBSET, rec.SUBSET_BASELINE)


def chart_view_state(suite: Suite) -> dict[str, Any]:
    """Return the view: search as parallel coordinates, curves, scores, cost."""
    objective = metric_key("val", suite.study.metric)
    line = {
        "scaleType": "linear",
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
        "useGlobalXaxisKey": False,
        "ignoreOutliers": False,
    }
    charts: list[dict[str, Any]] = [
        {"type": "BAR", "metricKey": OBJECTIVE},
        {
            "type": "LINE",
            "metricKey": objective,
            "selectedMetricKeys": [objective],
            **line,
        },
        {
            "type": "SCATTER",
            "xaxis": {"key": TRAIN_TIME, "type": "METRIC"},
            "yaxis": {"key": OBJECTIVE, "type": "METRIC"},
        },
    ]
    if len(suite.space) > 0:
        charts.insert(
            0,
            {
                "type": "PARALLEL",
                "selectedParams": [name for name, _ in suite.space],
                "selectedMetrics": [OBJECTIVE],
                "showAllRuns": False,
            },
        )
    # A confirmation's trainings would crowd out those of the search.
    hidden = (*HIDDEN, "replicate") if len(suite.space) else HIDDEN
    section = "study"
    return {
        "searchFilter": f"tags.`{rec.TAG_STUDY}` = '{suite.study_name}'"
        + "".join(f" and tags.`{rec.TAG_KIND}` != '{kind}'" for kind in hidden),
        # Sorted by time, MLflow folds the trainings into their sweep's run and
        # draws none of them.
        "orderByKey": f"metrics.`{OBJECTIVE}`",
        "orderByAsc": not suite.metric.higher_is_better,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [
            f"metrics.`{OBJECTIVE}`",
            f"metrics.`{TRAIN_TIME}`",
            *(f"params.`{name}`" for name, _ in suite.space),
        ],
        "runsPinned": [],
        "runsHidden": [],
        "runsHiddenMode": "SHOWALL",
        "runsVisibilityMap": {},
        "runsExpanded": {},
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "groupBy": None,
        "groupsExpanded": {},
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "autoRefreshEnabled": True,
        "compareRunSections": [
            {
                "uuid": section,
                "name": suite.study_name,
                "display": True,
                "isReordered": False,
            }
        ],
        "compareRunCharts": [
            {
                "uuid": f"chart-{number}",
                "metricSectionId": section,
                "runsCountToCompare": MAX_RUNS,
                "deleted": False,
                "isGenerated": False,
                **chart,
            }
            for number, chart in enumerate(charts)
        ],
    }


def chart_view_address(server: str, experiment_id: str, study: str) -> str:
    """Return the address of a study's prepared view at the MLflow server `server`."""
    return (
        f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs"
        f"?workflowType=machine_learning&viewStateShareKey={quote(study)}"
        "&compareRunsMode=CHART"
    )


def report_address(server: str, experiment_id: str, run_id: str) -> str:
    """Return the address of a command's report in MLflow's artifact viewer."""
    return (
        f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"
        f"/artifacts/{rec.REPORT}/index.html?workflowType=machine_learning"
    )
