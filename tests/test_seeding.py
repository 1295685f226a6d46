from lstm_bench.seeding import derive_rng, derive_seed


def test_equal_arguments_give_equal_seeds_and_draws():
    assert derive_seed(1, "split", 0) == derive_seed(1, "split", 0)
    assert derive_rng(1, "x").random() == derive_rng(1, "x").random()


def test_every_argument_changes_the_seed():
    seeds = {
        derive_seed(1, "split", 0),
        derive_seed(2, "split", 0),
        derive_seed(1, "init", 0),
        derive_seed(1, "split", 1),
        derive_seed(1, "split", "0"),
        derive_seed(1, "spl", "it", 0),
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_the_seed_of_a_name_never_changes():
    # A change here would change every result that was published.
    assert derive_seed(1, "split", 0) == 252630163
