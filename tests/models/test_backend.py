import random
import threading

import pytest

pytestmark = pytest.mark.slow


def draws(seed: int) -> list[int]:
    """Return the seeds that Keras gives to three new layers."""
    from lstm_bench.models.backend import keras, keras_seed

    with keras_seed(seed):
        return [keras.initializers.GlorotUniform().seed for _ in range(3)]


def test_layers_have_the_seeds_of_set_random_seed():
    from lstm_bench.models.backend import keras

    keras.utils.set_random_seed(7)
    wanted = [keras.initializers.GlorotUniform().seed for _ in range(3)]
    assert draws(7) == wanted
    assert draws(8) != wanted


def test_other_threads_that_draw_numbers_do_not_change_the_seeds_of_layers():
    wanted, over = draws(7), threading.Event()

    def draw() -> None:
        while not over.is_set():
            random.random()
            random.randint(1, 9)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert all(draws(7) == wanted for _ in range(200))
    finally:
        over.set()
        thread.join()
