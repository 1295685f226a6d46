from __future__ import annotations

from results_builder import CONFIRM_SUITE, make_confirmed_results


def test_names_of_pairs_are_of_the_fields_that_the_suite_compares():
    text = CONFIRM_SUITE.replace("learning_rate: 1.0e-05", "dropout: 0.1")
    old = dict(reference="old", units=64, dropout=0.1)
    results = make_confirmed_results(
        (
            (dict(units=32, dropout=0.1, head="softmax"), "search", (34,)),
            (old | dict(head="sigmoid"), "reference", (24,)),
            # Trial 3 differs in one field, too, but in the units, which are no pair.
            (old | dict(head="softmax"), "pair", (20,)),
        ),
        suite_text=text,
    )
    names = [results.names[i] for i in results.confirmed["config_id"]]
    assert names == [
        "32 units, dropout 0.1, softmax (trial 3)",
        "reference old",
        "softmax (pair of reference old)",
    ]
