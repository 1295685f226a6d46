from __future__ import annotations

import json

import pytest
from conftest import ROOT, TINY_SUITE

from lstm_bench.compare_by_name import _is_config_id
from lstm_bench.errors import SuiteError
from lstm_bench.suites.config import TrialConfig, config_id_of, short_text
from lstm_bench.suites.schema import did_you_mean
from lstm_bench.suites.suite import BASELINE_NAMES, Suite, load_suite
from lstm_bench.training.baselines import BASELINES

SHIPPED = sorted((ROOT / "benchmarks").glob("*.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda f: f.stem)
def test_every_shipped_suite_is_valid(file):
    suite = load_suite(file)
    assert suite.name == file.stem
    assert len(suite.space) or suite.references


def test_the_suites_of_the_readme_are_shipped():
    names = {"quick", "imdb", "imdb_small", "heads", "write_up"}
    names |= {"imdb_best", "imdb_ablation", "imdb_axes", "imdb_sizes"}
    names |= {"memory", "memory_full", "memory_adding", "memory_adding_full"}
    names |= {"digits", "digits_cells", "digits_pixels", "mnist_rows"}
    names |= {"reuters", "reuters_best", "vowels"}
    names |= {"co2", "seasonal"}
    assert {f.stem for f in SHIPPED} == names


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        ({"max_epochs: 2": "max_epoch: 2"}, "did you mean 'max_epochs'"),
        ({"units: [2, 3, 4]": "untis: [2]"}, "space.untis: unknown field; did you"),
        ({"units: [2, 3, 4]": "units: []"}, "expected at least one choice, got []"),
        ({"units: [2, 3, 4]": "units: [2, 0]"}, "greater than or equal to 1, got 0"),
        ({"units: [2, 3, 4]": "units: [2, 2]"}, "distinct choices"),
        ({"units: [2, 3, 4]": "units: {low: 9, high: 1}"}, "low <= high"),
        ({"units: [2, 3, 4]": "units: {low: 1}"}, "high is missing"),
        ({"units: [2, 3, 4]": "units: {low: 1, hihg: 3}"}, "did you mean 'high'"),
        ({"units: [2, 3, 4]": "units: {low: 1.5, high: 3}"}, "an integer, got 1.5"),
        ({"units: [2, 3, 4]": "units: 3"}, "list of choices or"),
        ({"metric: accuracy": "metric: acuracy"}, "did you mean 'accuracy'"),
        ({"n_trials: 3": "n_trials: 0"}, "study.n_trials"),
        ({"seed: 7": "sampler: tpee"}, "'tpe', 'random' or 'grid', got 'tpee'"),
        ({"name: synthetic": "name: syntetic"}, "did you mean 'synthetic'"),
        ({"n_train: 240": "n_trian: 240"}, "did you mean 'n_train'"),
        ({"dataset: {name": "datset: {name"}, "did you mean 'dataset'"),
        ({"embedding_dim: 4": "embedding_dim: 4\n  embedding_dim: 5"}, "given twice"),
        ({"space:": "space: {}\nignored:"}, "unknown field"),
        ({"study:": "confirm: {n_bst: 1}\nstudy:"}, "did you mean 'n_best'"),
        ({"study:": "confirm: {pairs: {head: [sigmoid]}}\nstudy:"}, "two values"),
        ({"study:": "confirm: {pairs: {haed: [1, 2]}}\nstudy:"}, "confirm.pairs.haed"),
        ({"study:": "confirm: {pairs: {units: [2, 0]}}\nstudy:"}, "got 0"),
        ({"study:": "confirm: {margin: -1}\nstudy:"}, "confirm.margin"),
        ({"study:": "confirm: {families: [best, al]}\nstudy:"}, "'references'"),
        (
            {"study:": "confirm: {train_sizes: [80, 40]}\nstudy:"},
            "confirm.train_sizes: expected increasing numbers",
        ),
        (
            {"study:": "confirm: {train_sizes: [1, 40]}\nstudy:"},
            "confirm.train_sizes.0: input should be greater than or equal to 2, got 1",
        ),
        (
            {"study:": "confirm: {train_sizes: 40}\nstudy:"},
            "confirm.train_sizes: expected a list, got 40",
        ),
        (
            {"study:": "confirm: {against: new}\nstudy:"},
            "confirm.against: expected null, since there are no references, got 'new'",
        ),
        (
            {"study:": "references: {old: {}}\nconfirm: {against: odl}\nstudy:"},
            "confirm.against: expected one of old, got 'odl'; did you mean 'old'?",
        ),
        (
            {
                "study:": "references: {old: {}}\nconfirm: {n_best: 0, against: old}\n"
                "study:"
            },
            "confirm.against: expected other references to compare 'old' with",
        ),
        (
            {
                "study:": "references: {a: {}, b: {units: 9}}\n"
                "confirm: {against: a, families: [best]}\nstudy:"
            },
            "confirm.against: compares references, and confirm.families leaves",
        ),
        (
            {
                "dataset: {": "dataset: {max_train_samples: 50, ",
                "study:": "confirm: {train_sizes: [40, 60]}\nstudy:",
            },
            "confirm.train_sizes: expected at most 50, the number of examples",
        ),
        (
            {"study:": "ensemble: 3\nconfirm: {}\nstudy:"},
            "ensemble: expected a mapping, got 3",
        ),
        (
            {"defaults:": "defaults:\n  embedding: coocurrence"},
            "got 'coocurrence'; did you mean 'cooccurrence'?",
        ),
        ({"study:": "ensemble: {n: 5}\nstudy:"}, "add confirm: {n_replicates: 5}"),
        (
            {"study:": "confirm: {n_replicates: 3}\nensemble: {}\nstudy:"},
            "ensemble.n: expected at most 3, the seeds of the confirmation, got 5",
        ),
        (
            {"study:": "confirm: {}\nensemble: {m: 2}\nstudy:"},
            "ensemble.m: unknown field; known: n",
        ),
        (
            {
                "dataset: {": "dataset: {validation: test, ",
                "study:": "confirm: {}\nensemble: {}\nstudy:",
            },
            "no weight of an ensemble may be chosen",
        ),
        ({"study:": "confirm: {until: setled}\nstudy:"}, "'settled', got 'setled'"),
        (
            {"study:": "confirm: {until: settled, n_replicates: 2}\nstudy:"},
            "confirm.n_replicates: expected at least 3 with until: settled, got 2",
        ),
        (
            {"study:": "confirm: {until: settled, max_replicates: 4}\nstudy:"},
            "confirm.max_replicates: expected at least n_replicates (5)",
        ),
        (
            {"study:": "confirm: {until: settled, n_replicates: 31}\nstudy:"},
            "expected at least n_replicates (31), the seeds of the first look, got 30",
        ),
        (
            {"study:": "confirm: {until: settled, max_replicates: 101}\nstudy:"},
            "confirm.n_replicates: expected at most 20 looks",
        ),
        (
            {"study:": "confirm: {max_replicates: 30}\nstudy:"},
            "confirm.max_replicates: expected none without until: settled, got 30",
        ),
        (
            {"study:": "confirm: {until: settled, families: [pairs]}\nstudy:"},
            "confirm.until: expected a comparison to settle, got none",
        ),
        ({"defaults:": "defaults:\n  cell: rnn"}, "'lstm', 'gru' or 'simple_rnn'"),
        (
            {"defaults:": "defaults:\n  cell: gru\n  forget_bias: zero"},
            "defaults: forget_bias: expected one where cell is gru",
        ),
        (
            {"space:": "space:\n  cell: [lstm, gru]\n  forget_bias: [one, zero]"},
            "space.cell and space.forget_bias: forget_bias: expected one",
        ),
        (
            {
                "defaults:": "defaults:\n  forget_bias: chrono",
                "study:": "confirm: {pairs: {cell: [lstm, gru]}}\nstudy:",
            },
            "confirm.pairs.cell: forget_bias: expected one where cell is gru",
        ),
        (
            {"defaults:": "defaults:\n  chop_length: 50"},
            "defaults: pooling: expected mean or max or mean_max or attention where "
            "chop_length is 50, got last; change it, or remove chop_length",
        ),
        (
            {"defaults:": "defaults:\n  chop_length: 5\n  pooling: max\n  masking: no"},
            "defaults: masking: expected true where chop_length is 5, got false",
        ),
        (
            {
                "defaults:": "defaults:\n  pooling: mean",
                "space:": "space:\n  chop_length: [null, 9]\n  padding: [pre, post]",
            },
            "space.chop_length and space.padding: padding: expected post where",
        ),
        ({"description: a tiny study for tests": ""}, "description: required"),
        ({"description: a": "description: [a"}, "not valid YAML"),
    ],
)
def test_a_wrong_suite_says_file_field_expected_and_got(write_suite, replace, message):
    file = write_suite(replace)
    with pytest.raises(SuiteError) as error:
        load_suite(file)
    assert message in str(error.value)
    assert "tiny.yaml" in str(error.value)


def test_a_misspelt_field_beside_own_files_is_told(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        "description: d\ndataset: {file: a.csv, max_train_sample: 9}\n"
        "space: {units: [2, 3]}\nstudy: {n_trials: 2}\n"
    )
    with pytest.raises(SuiteError) as error:
        load_suite(file)
    assert "unknown field; did you mean 'max_train_samples'?" in str(error.value)
    assert "validation_fraction" in str(error.value).split("known:")[1]


def test_yaml_that_cannot_be_read_has_the_files_name_alone(write_suite):
    with pytest.raises(SuiteError) as error:
        load_suite(write_suite({"description: a": "description: [a"}))
    assert "unicode string" not in str(error.value)


def test_looks_are_declared_by_first_and_last(write_suite):
    text = "confirm: {until: settled, n_replicates: 4, max_replicates: 10}\nstudy:"
    spec = load_suite(write_suite({"study:": text})).confirm
    assert spec.looks == (4, 8, 10)
    assert spec.seeds_text(4) == (
        "4 to 10 fresh seeds, until all comparisons are settled (3 looks at most)"
    )


def test_a_suite_without_axes_and_references_is_refused(write_suite):
    text = "description: x\ndataset: synthetic\nspace: {}\n"
    with pytest.raises(SuiteError, match="expected at least one axis, got none"):
        load_suite(write_suite(text=text))


def test_grid_refuses_a_continuous_axis(write_suite):
    file = write_suite(
        {"units: [2, 3, 4]": "dropout: {low: 0, high: 0.5}", "seed: 7": "sampler: grid"}
    )
    with pytest.raises(SuiteError, match="grid needs a finite space"):
        load_suite(file)


def test_a_missing_file_names_the_nearest(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SuiteError, match="did you mean 'quick'"):
        load_suite("quik")


def test_data_in_place_of_a_suite_are_recognised(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_bytes(b"text;label\nsch\xf6n;pos\n")
    with pytest.raises(SuiteError, match=r"reviews\.csv: expected a suite.*init FILE"):
        load_suite(file)


def test_the_study_name_changes_with_what_changes_results(write_suite):
    name = load_suite(write_suite()).study_name
    assert name == load_suite(write_suite({"n_trials: 3": "n_trials: 30"})).study_name
    assert name == load_suite(write_suite({"a tiny": "another"})).study_name
    confirmed = write_suite({"study:": "confirm: {n_best: 1}\nstudy:"})
    assert name == load_suite(confirmed).study_name
    together = write_suite({"study:": "confirm: {}\nensemble: {n: 2}\nstudy:"})
    assert name == load_suite(together).study_name
    for change in ({"seed: 7": "seed: 8"}, {"[2, 3, 4]": "[2, 3]"}, {"240": "250"}):
        assert name != load_suite(write_suite(change)).study_name


def test_overrides_are_checked_like_the_suite(tiny_suite):
    config = tiny_suite.with_overrides(["units=64", "head=softmax", "patience=null"])
    assert (config.units, config.head, config.patience) == (64, "softmax", None)
    for wrong, message in (
        ("units", "expected field=value"),
        ("unit=3", "did you mean 'units'"),
        ("units=none", "expected a whole number"),
    ):
        with pytest.raises(SuiteError, match=message):
            tiny_suite.with_overrides([wrong])


def test_write_up_is_the_write_ups_set_up():
    suite = load_suite(ROOT / "benchmarks" / "write_up.yaml")
    a, b = suite.references["model_a"], suite.references["model_b"]
    assert (a.head, a.head_dropout, a.dropout) == ("sigmoid", 0.5, 0.0)
    assert (b.head, b.dropout, b.recurrent_dropout) == ("softmax", 0.2, 0.2)
    for config in (a, b):
        assert (config.vocabulary_size, config.embedding_dim) == (10_000, 128)
        assert (config.units, config.sequence_length) == (100, 500)
        assert (config.padding, config.masking) == ("pre", False)
        assert (config.batch_size, config.max_epochs) == (64, 3)
    assert suite.dataset.validation == "test"
    assert suite.published[0].val_accuracy == (0.8418, 0.8372, 0.8346)


def test_figures_by_epoch_are_of_a_reference(write_suite):
    text = write_suite().read_text(encoding="utf-8")
    other = "\npublished: [{label: a, source: b, test_accuracy: 0.5}]\n"
    assert Suite("x", text + other, "x.yaml").published[0].reference is None
    curve = other.replace("test_accuracy: 0.5", "val_accuracy: [0.5]")
    with pytest.raises(SuiteError, match=r"published\.reference: expected one of"):
        Suite("x", text + curve, "x.yaml")


@pytest.mark.parametrize("name", ["heads", "imdb_small", "write_up"])
def test_study_name_of_a_shipped_suite_is_the_published_one(name):
    summary = ROOT / "reports" / "published" / name / "summary.json"
    published = json.loads(summary.read_text())["study"]
    file = ROOT / "benchmarks" / f"{name}.yaml"
    text = file.read_text(encoding="utf-8")
    if name != "write_up":
        # As all were trained that were published before there was the choice.
        assert load_suite(file).study_name != published
        text = text.replace(
            "defaults:\n", "defaults:\n  embedding_gradient: per_occurrence\n"
        )
    assert Suite(name, text, name).study_name == published


def test_a_name_that_no_store_would_take_is_refused(tmp_path):
    file = tmp_path / "odd & 100%.yaml"
    file.write_text(TINY_SUITE)
    with pytest.raises(SuiteError, match="rename the file"):
        load_suite(file)
    fine = tmp_path / "my suite_1.0-b.yaml"
    fine.write_text(TINY_SUITE)
    assert load_suite(fine).path == str(fine)


@pytest.mark.parametrize(
    "name",
    [
        "small",
        "größer",
        "2 layers",
        "trials",
        "v1.2-b",
        "référence",
        "a with b",
        "imdb-20240115",
    ],
)
def test_check_name_takes_names_of_ones_own(name, write_suite):
    text = write_suite().read_text() + f'references: {{"{name}": {{units: 9}}}}'
    assert list(load_suite(write_suite(text=text)).references) == [name]


def test_check_name_knows_every_baseline():
    assert set(BASELINES) == set(BASELINE_NAMES)


def test_a_suite_of_the_programs_own_name_is_refused(tmp_path):
    for name in ("published", "trial 3", "nb_lr"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(TINY_SUITE)
        with pytest.raises(SuiteError, match="a name of your own"):
            load_suite(file)


def test_did_you_mean_is_not_asked_of_long_names():
    assert did_you_mean("acuracy" + "x" * 1000, ["accuracy"]) == ""
    assert did_you_mean("acuracy", ["accuracy"]) == "; did you mean 'accuracy'?"


def test_many_mistakes_are_the_first_few_and_a_count(write_suite):
    keys = "\n".join(f"key_{i}: 1" for i in range(300))
    with pytest.raises(SuiteError, match="and 295 more problems") as error:
        load_suite(write_suite({"study:": f"{keys}\nstudy:"}))
    assert len(str(error.value).splitlines()) == 6


def test_text_in_other_scripts_is_welcome(write_suite):
    description = "Größe, 大きさ, حجم 👩‍🔬\tor not?"
    suite = load_suite(write_suite({"a tiny study for tests": f'"{description}"'}))
    assert suite.description == description


def test_a_suite_whose_name_could_be_an_id_is_found_by_compare(
    write_suite, tmp_path, monkeypatch
):
    assert _is_config_id("face")
    (tmp_path / "benchmarks").mkdir()
    write_suite().rename(tmp_path / "benchmarks" / "face.yaml")
    monkeypatch.chdir(tmp_path)
    assert not _is_config_id("face")


def test_values_that_name_nothing_are_named_so():
    assert short_text("class_weights", "none") == "no class weights"
    assert short_text("class_weights", "balanced") == "balanced class weights"
    assert short_text("patience", None) == "no patience"
    assert short_text("gradient_clip_norm", None) == "no gradient clip norm"
    assert short_text("weight_averaging", None) == "no weight averaging"
    # Keras's AdamW has one.
    assert short_text("weight_decay", None) == "default weight decay"
    assert short_text("weight_decay", 0.0) == "weight decay 0"


def test_a_cell_is_named_as_keras_names_it():
    text = (
        "description: Which?\ndataset: synthetic\n"
        "space: {units: [16, 32], gradient_clip_norm: {low: 0.5, high: 2}}\n"
        "references: {plain: {units: 8}}\nstudy: {metric: accuracy, n_trials: 2}\n"
        "confirm: {pairs: {forget_bias: [one, chrono], cell: [lstm, gru]}}\n"
    )
    suite = Suite("s", text, "s")
    config = suite.defaults.model_copy(update={"units": 32, "cell": "gru"})
    assert suite.name_of(config, 2) == "32 units, no gradient clip norm, GRU (trial 2)"
    clipped = suite.defaults.model_copy(
        update={"gradient_clip_norm": 1.0, "forget_bias": "chrono"}
    )
    assert (
        suite.settings_text(clipped)
        == "100 units, gradient clip norm 1, forget bias chrono"
    )


def test_configurations_without_the_newer_fields_keep_their_ids():
    # All were trained with the embedding's gradient per occurrence.
    config = TrialConfig(units=32, embedding_gradient="per_occurrence")
    newer = {"cell", "forget_bias", "gradient_clip_norm", "embedding_gradient"}
    older = config.model_dump(exclude=newer)
    assert config_id_of(older) == config.config_id == "953f562c581c"
    for other in ({"cell": "gru"}, {"embedding_gradient": "per_token"}):
        assert config.model_copy(update=other).config_id != config.config_id


def test_name_of_a_trial_a_reference_and_their_pairs():
    text = (
        "description: Which?\ndataset: synthetic\ndefaults: {units: 16}\n"
        "space: {units: [16, 32]}\nstudy: {metric: accuracy, n_trials: 2}\n"
        "references: {old: {units: 64, learning_rate: 0.00001}}\n"
    )
    suite = Suite("s", text, "s")
    trial, old = suite.defaults, suite.references["old"]
    pairs = [one.model_copy(update={"head": "softmax"}) for one in (trial, old)]
    assert suite.name_of(trial, 6) == "16 units (trial 6)"
    assert suite.name_of(old) == "reference old"
    assert suite.name_of(pairs[0], 6, trial) == "16 units, softmax (pair of trial 6)"
    assert suite.name_of(pairs[1], None, old) == "softmax (pair of reference old)"
    assert suite.name_of(pairs[0]) == "16 units, softmax"


NUMBERS = """
description: numbers
dataset: {name: adding, options: {n_train: 100, n_test: 50}}
space: {units: [2, 3]}
confirm: {n_best: 1}
"""


def test_defaults_follow_the_task():
    numbers = Suite("numbers", NUMBERS, "numbers.yaml")
    assert numbers.task.name == "regression"
    assert numbers.metric.name == "mse" and numbers.metric.direction == "minimize"
    assert numbers.defaults.head == "linear"
    assert numbers.confirm is not None and numbers.confirm.margin == 0.0
    text = NUMBERS.replace("adding", "synthetic")
    classes = Suite("classes", text, "classes.yaml")
    assert classes.metric.name == "accuracy" and classes.defaults.head == "sigmoid"
    assert classes.confirm is not None and classes.confirm.margin == 0.01


def test_a_suite_may_name_what_its_task_has_anyway():
    named = "defaults: {head: linear}\nstudy: {metric: mse}\n"
    same = Suite("numbers", NUMBERS + named, "numbers.yaml")
    assert same.study_name == Suite("numbers", NUMBERS, "numbers.yaml").study_name
    margin = NUMBERS.replace("n_best: 1", "n_best: 1, margin: 0.5")
    given = Suite("numbers", margin, "numbers.yaml").confirm
    assert given is not None and given.margin == 0.5


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("study: {metric: accuracy}", "study.metric: accuracy is no metric of numbers"),
        ("study: {metric: mss}", "expected one of mse, .*did you mean 'mse'"),
        ("defaults: {head: sigmoid}", "defaults.head: head: sigmoid does not fit"),
        ("defaults: {class_weights: balanced}", "use class_weights: none"),
        ("references: {a: {label_smoothing: 0.1}}", "use label_smoothing: 0"),
        ("published: [{label: P, source: s, test_accuracy: 0.9}]", "has an accuracy"),
        ("references: {a: {head: softmax}}", "references.a: head: softmax does not"),
    ],
)
def test_what_is_of_classes_is_refused_for_numbers(added, message):
    with pytest.raises(SuiteError, match=message):
        Suite("numbers", NUMBERS + added, "numbers.yaml")


def test_what_is_of_numbers_is_refused_for_classes():
    text = NUMBERS.replace("adding", "word_order")
    with pytest.raises(SuiteError, match="r2 is no metric of classes"):
        Suite("a", text + "study: {metric: r2}", "a.yaml")
    with pytest.raises(SuiteError, match="use head: sigmoid or softmax"):
        Suite("a", text + "defaults: {head: linear}", "a.yaml")
    suite = Suite("a", text, "a.yaml")
    with pytest.raises(SuiteError, match="--set: head: head: linear does not fit"):
        suite.with_overrides(["head=linear"])
