"""The packed engine against Keras: same weights, same masks, same everything."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TEST_PATHS
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from lstm_bench.packed.layout import (
    Layout,
    find_tokens,
    number_distinct,
    parts_of,
    segments_with_tokens,
)
from lstm_bench.suites.config import TrialConfig

SMALL = {"units": 5, "embedding_dim": 4, "vocabulary_size": 60, "sequence_length": 12}
RELATIVE = 1e-5


def make_tokens(lengths, n_timesteps, padding="post", seed=0, n_ids=60):
    rng = np.random.default_rng(seed)
    tokens = np.zeros((len(lengths), n_timesteps), np.int32)
    for row, length in enumerate(lengths):
        ids = rng.integers(1, n_ids, length)
        if padding == "post":
            tokens[row, :length] = ids
        else:
            tokens[row, n_timesteps - length :] = ids
    return tokens


def assert_close(got, wanted, what="", at_least=0.0):
    """Within `RELATIVE` of the largest value, or of `at_least`: sums cancel."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape
    scale = np.abs(wanted).max(initial=at_least)
    np.testing.assert_allclose(
        got, wanted, rtol=0, atol=RELATIVE * scale + 1e-9, err_msg=what
    )


# --- where tokens stand


lengths_lists = st.lists(st.integers(0, 9), min_size=1, max_size=40)


@given(lengths_lists, st.sampled_from(["pre", "post"]))
def test_every_token_has_one_row_and_steps_stand_together(lengths, padding):
    tokens = make_tokens(lengths, 9, padding)
    layout = Layout.of(tokens, True)
    flat = tokens.reshape(-1)
    assert sorted(layout.position) == list(np.flatnonzero(flat))
    assert sorted(layout.order) == list(range(len(lengths)))
    assert list(layout.lengths) == [lengths[i] for i in layout.order]
    # Twice around is where one began, and the last token stands where the first does.
    assert (layout.reverse[layout.reverse] == np.arange(len(layout.reverse))).all()
    assert (layout.review == layout.position // 9).all()
    assert (layout.review[layout.reverse] == layout.review).all()
    for part in parts_of(layout.lengths):
        end = part.first_row + part.n_rows
        steps = layout.position[part.first_row : end] % 9
        starts, _ = find_tokens(tokens, True)
        steps = steps - starts[layout.review[part.first_row : end]]
        assert (np.diff(steps) >= 0).all()
        assert set(np.diff(steps)) <= {0, 1}


def test_without_masking_padding_counts_as_tokens():
    layout = Layout.of(make_tokens([3, 0], 4), False)
    assert list(layout.lengths) == [4, 4]
    assert sorted(layout.position) == list(range(8))


def test_segments_without_tokens_are_left_out():
    tokens = np.array([[1, 2, 3, 4, 5], [0, 6, 0, 0, 0], [0, 0, 0, 0, 0]], np.int32)
    segments, number = segments_with_tokens(tokens, 2)
    assert segments.tolist() == [[1, 2], [3, 4], [5, 0], [0, 6]]
    assert number.tolist() == [0, 1, 2, 3]
    segments, number = segments_with_tokens(tokens[::-1], 3)
    assert segments.tolist() == [[0, 6, 0], [1, 2, 3], [4, 5, 0]]
    assert number.tolist() == [2, 4, 5]
    # One is needed.
    segments, number = segments_with_tokens(tokens[2:], 5)
    assert (segments.tolist(), number.tolist()) == ([[0] * 5], [0])


def test_padding_between_tokens_is_refused():
    with pytest.raises(ValueError, match="got 0 within"):
        find_tokens(np.array([[1, 0, 2]], np.int32), True)


@given(st.lists(st.integers(0, 19), max_size=40))
def test_distinct_values_and_their_positions(values):
    values = np.array(values, np.int32)
    found, position = number_distinct(values, 20)
    assert list(found) == sorted(set(values.tolist()))
    assert (found[position] == values).all()


@given(st.lists(st.integers(0, 19), max_size=40), st.integers(0, 9))
def test_an_input_that_several_rows_have_is_shared(values, first):
    from lstm_bench.packed.shared import find_shared

    index = np.array([0] * first + values, np.int32)
    numbers = np.full(50, 99, np.int32)
    n_sums = find_shared(index, first, len(values), numbers, 5, 20)
    shared = [i for i in range(20) if values.count(i) > 1]
    assert n_sums == len(shared)
    wanted = [shared.index(i) if i in shared else -1 for i in range(20)]
    assert list(numbers) == [99] * 5 + wanted + [0] * 20 + [99] * 5


def test_buffers_smaller_than_a_page_are_reused():
    from lstm_bench.packed.buffers import Buffers

    buffers = Buffers()
    first = buffers.take(5)
    place = first.ctypes.data
    del first
    assert buffers.take(7).ctypes.data == place


def test_memory_comes_back_when_no_view_is_left():
    from lstm_bench.packed.buffers import Buffers

    buffers = Buffers()
    first = buffers.take(30, 50)
    address = first.ctypes.data
    view = first[3:].T
    del first
    assert buffers.take(30, 50).ctypes.data != address
    del view
    assert {buffers.take(30, 50).ctypes.data for _ in range(3)} & {address}


# --- the kernel against formulas in double precision


def run_kernel(
    lengths,
    units,
    *,
    cell="lstm",
    features=3,
    masked=False,
    n_input_masks=0,
    table=False,
    by_input=False,
    sequences=False,
    n_threads=2,
    seed=0,
    take=None,
    bias_spread=1.0,
    dy_scale=1.0,
    n_ids=60,
):
    """Return the kernel's outputs and gradients, and those of plain NumPy."""
    from lstm_bench.packed.recurrence import Recurrence
    from lstm_bench.packed.team import Team

    rng = np.random.default_rng(seed)
    tokens = make_tokens(lengths, max(1, *lengths), seed=seed, n_ids=n_ids)
    layout = Layout.of(tokens, True)
    n_rows, n = len(layout.review), len(lengths)
    ids, index = number_distinct(tokens.reshape(-1)[layout.position], n_ids)
    recurrence = Recurrence(Team(lambda: n_threads), cell)
    if take is not None:
        recurrence._buffers.take = take

    def own(array):
        if take is None:
            return np.ascontiguousarray(array)
        copy = take(*array.shape).view(array.dtype)
        copy[...] = array
        return copy

    def draw(*shape):
        return own(rng.normal(size=shape).astype(np.float32))

    def draw_masks(n_masks, columns):
        kept = rng.random((n_masks, n, columns)) > 0.3
        return own(kept.astype(np.float32) / np.float32(0.7))

    x = draw(len(ids), features)
    n_gates, n_state_gates = N_GATES[cell]
    w, b = draw(features, n_gates * units), draw(n_gates * units)
    u = draw(units, n_state_gates * units)
    w *= np.float32(0.4)
    # Larger ones make a SimpleRNN chaotic: any rounding grows from step to step.
    u *= np.float32(min(0.4, units**-0.5) if cell == "simple_rnn" else 0.4)
    b *= np.float32(bias_spread)
    input_masks = draw_masks(min(n_input_masks, n_gates), features)
    masks = draw_masks(n_state_gates if masked else 0, units)
    rows = np.arange(n_rows, dtype=np.int32)
    numbers = (index, rows, layout.review, layout.order, layout.lengths)
    layout_of = [own(each) for each in numbers]
    # The table's rows stand in another order than the inputs.
    backward_ids = np.arange(len(ids), dtype=np.int32)[::-1]
    table_of = own(backward_ids), own(backward_ids[index])
    flags = {"returns_sequences": sequences}

    def forward(is_kept):
        arrays = (x, w, b, u, input_masks, masks, *table_of, *layout_of)
        return recurrence.forward(*arrays, **flags, has_table=table, is_kept=is_kept)

    y, *kept = forward(is_kept=True)
    dy = draw(*y.shape)
    dy *= np.float32(dy_scale)
    dx, inputs, dw, db, du = recurrence.backward(
        dy,
        x,
        w,
        u,
        *kept,
        input_masks,
        masks,
        table_of[1],
        *layout_of,
        **flags,
        has_table=table,
        dx_by_input=by_input,
    )
    got = {
        "y": y,
        "without a way back": forward(is_kept=False)[0],
        "dx": added_by_input(dx, inputs, len(x)) if by_input else dx,
        "dw": dw,
        "db": db,
        "du": du,
    }
    all_masks = np.ones((n_gates, n, features))
    all_masks[...] = input_masks if n_input_masks else 1.0
    wanted = plain(
        cell,
        *(array.astype(float) for array in (x[index], w, b, u)),
        layout,
        all_masks,
        masks.astype(float) if masked else np.ones((n_state_gates, n, units)),
        dy.astype(float),
        sequences,
    )
    wanted["without a way back"] = wanted["y"]
    if by_input:
        wanted["dx"] = added_by_input(wanted["dx"], index, len(x))
        # One product for the rows of a part that share an input, or 64 of them.
        parts = parts_of(layout.lengths)
        of_parts = (index[p.first_row : p.first_row + p.n_rows] for p in parts)
        assert (inputs >= 0).sum() == sum(
            -(-n // 64) for part in of_parts for n in np.bincount(part)
        )
    return got, wanted


def added_by_input(dx, inputs, n_inputs):
    """Return the sum of each input's rows of `dx`; those of input -1 are none's."""
    added = np.zeros((n_inputs, dx.shape[1]))
    np.add.at(added, inputs[inputs >= 0], dx[inputs >= 0])
    return added


# Of the inputs, and of h of the step before.
N_GATES = {"lstm": (4, 4), "gru": (4, 3), "simple_rnn": (1, 1)}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_step(a, s, h, c):
    """Return h and c, and what `lstm_back` needs."""
    z = a + s
    i, f, o, g = *(sigmoid(z[k]) for k in (0, 1, 3)), np.tanh(z[2])
    after = f * c + i * g
    return o * np.tanh(after), after, (i, f, g, o, c, np.tanh(after))


def lstm_back(kept, dh, dc):
    """Return the gradients of a and s, of h of the step before beside s, and of c."""
    i, f, g, o, before, tanh_c = kept
    dc = dc + dh * o * (1 - tanh_c**2)
    dz = np.stack(
        [
            dc * g * i * (1 - i),
            dc * before * f * (1 - f),
            dc * i * (1 - g**2),
            dh * tanh_c * o * (1 - o),
        ]
    )
    return dz, dz, 0.0, dc * f


def gru_step(a, s, h, c):
    u, r = sigmoid(a[0] + s[0]), sigmoid(a[1] + s[1])
    # Inputs contribute a bias alone to the gate of h, before it is reset.
    state = a[2] + s[2]
    g = np.tanh(a[3] + r * state)
    return u * h + (1 - u) * g, c, (u, r, state, g, h)


def gru_back(kept, dh, dc):
    u, r, state, g, h = kept
    d_new = dh * (1 - u) * (1 - g**2)
    d_u, d_r = dh * (h - g) * u * (1 - u), d_new * state * r * (1 - r)
    da = np.stack([d_u, d_r, d_new * r, d_new])
    return da, da[:3], dh * u, dc


def simple_rnn_step(a, s, h, c):
    h = np.tanh(a[0] + s[0])
    return h, c, h


def simple_rnn_back(h, dh, dc):
    dz = (dh * (1 - h**2))[None]
    return dz, dz, 0.0, dc


STEPS = {
    "lstm": (lstm_step, lstm_back),
    "gru": (gru_step, gru_back),
    "simple_rnn": (simple_rnn_step, simple_rnn_back),
}


def plain(cell, x, w, b, u, layout, input_masks, masks, dy, sequences):
    """Return outputs and gradients, review by review."""
    step, back = STEPS[cell]
    units = len(u)
    u_of, w_of = (m.reshape(len(m), -1, units).transpose(1, 0, 2) for m in (u, w))
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    dw, db, du = np.zeros(w_of.shape), np.zeros(len(b)), np.zeros(u_of.shape)
    db = db.reshape(-1, units)
    steps = {}
    for row, (review, position) in enumerate(
        zip(layout.review, layout.position, strict=True)
    ):
        steps.setdefault(review, []).append((position, row))
    for review, places in steps.items():
        mask, input_mask = masks[:, review], input_masks[:, review]
        h, c, kept = np.zeros(units), np.zeros(units), []
        rows = [row for _, row in sorted(places)]
        for row in rows:
            h_before = h
            a = np.einsum("gd,gdv->gv", input_mask * x[row], w_of)
            s = np.einsum("gu,guv->gv", mask * h, u_of)
            h, c, of_step = step(a + b.reshape(-1, units), s, h, c)
            kept.append((h_before, of_step))
            if sequences:
                y[row] = h
        if not sequences:
            y[review] = h
        dh, dc = np.zeros(units) if sequences else dy[review].copy(), np.zeros(units)
        for row, (h_before, of_step) in reversed(list(zip(rows, kept, strict=True))):
            dh = dh + (dy[row] if sequences else 0.0)
            da, ds, dh_beside, dc = back(of_step, dh, dc)
            db += da
            dw += np.einsum("gd,gv->gdv", input_mask * x[row], da)
            du += np.einsum("gu,gv->guv", mask * h_before, ds)
            dx[row] = (input_mask * np.einsum("gv,gdv->gd", da, w_of)).sum(axis=0)
            dh = dh_beside + (mask * np.einsum("gv,guv->gu", ds, u_of)).sum(axis=0)

    def columns(by_gate):
        return by_gate.transpose(1, 0, 2).reshape(by_gate.shape[1], -1)

    return {"y": y, "dx": dx, "dw": columns(dw), "db": db.ravel(), "du": columns(du)}


def check_kernel(*arguments, at_least=0.1, **options):
    got, wanted = run_kernel(*arguments, **options)
    for name, values in got.items():
        # A lone output may be what is left of two larger terms.
        assert_close(values, wanted[name], name, at_least)


CASES = [
    [6],
    [0],
    [0, 0, 0],
    [4, 4, 4, 4, 4],
    [7, 0, 3, 1, 7, 2, 5],
    list(range(14)) + [13] * 20,
    # A part's steps in several chunks.
    [29] * 17 + [3],
]
# As from Keras: four masks of the inputs where the state is dropped too.
DROPPED = [
    {"table": True},
    {"table": True, "by_input": True},
    {},
    {"n_input_masks": 1},
    {"masked": True, "table": True},
    {"masked": True, "table": True, "by_input": True},
    {"masked": True},
    {"masked": True, "n_input_masks": 1},
    {"masked": True, "n_input_masks": 4},
]


@pytest.mark.parametrize("lengths", CASES, ids=str)
@pytest.mark.parametrize("dropped", DROPPED, ids=str)
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
def test_the_kernel_agrees_with_the_formulas(lengths, dropped, sequences):
    for units, features in ((1, 1), (5, 16), (16, 5), (37, 70)):
        check_kernel(lengths, units, features=features, sequences=sequences, **dropped)


@pytest.mark.parametrize("cell", ["gru", "simple_rnn"])
@pytest.mark.parametrize("dropped", DROPPED, ids=str)
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
def test_the_kernel_agrees_with_the_formulas_of_every_cell(cell, dropped, sequences):
    for lengths in CASES:
        options = {"cell": cell, "sequences": sequences, **dropped}
        check_kernel(lengths, 5, features=16, **options)
        check_kernel(lengths, 37, features=7, **options)


@settings(deadline=None, max_examples=60)
@given(
    lengths=lengths_lists,
    cell=st.sampled_from(["lstm", "gru", "simple_rnn"]),
    units=st.integers(1, 90),
    features=st.integers(1, 90),
    dropped=st.sampled_from(DROPPED),
    sequences=st.booleans(),
    n_threads=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_the_kernel_agrees_at_any_shape(
    lengths, cell, units, features, dropped, sequences, n_threads, seed
):
    # Many inputs saturate a cell: its derivative, 1 - h^2, is then exact to about the
    # last digit of 1, and gradients are to that of what comes in, which is about 1.
    check_kernel(
        lengths,
        units,
        cell=cell,
        features=features,
        sequences=sequences,
        n_threads=n_threads,
        seed=seed,
        at_least=1.0,
        **dropped,
    )


@pytest.mark.parametrize("spread", [3.0, 30.0, 300.0])
def test_gates_far_in_saturation_are_right_and_pass_no_gradient_on(spread):
    got, wanted = run_kernel([3] * 9, 37, bias_spread=spread)
    for name, values in got.items():
        assert_close(values, wanted[name], name, at_least=0.1)


@pytest.mark.parametrize("n_ids", [2, 300, 5000])
def test_the_inputs_of_a_part_are_added_up_however_many_rows_share_them(n_ids):
    """All the same, more shared ones than a chunk has rows, or hardly any."""
    for by_input in (False, True):
        lengths = [60] * 16 + [9]
        check_kernel(lengths, 20, table=True, by_input=by_input, n_ids=n_ids)


@pytest.mark.parametrize(
    "dropped", [{"table": True}, {"table": True, "by_input": True}, {}], ids=str
)
def test_sums_of_thousands_of_alike_rows_keep_their_digits(dropped):
    """One word all along, as padding is that is not masked, and gates that remember."""
    check_kernel(
        [500] * 16, 12, features=4, n_ids=2, bias_spread=6.0, seed=0, **dropped
    )


@pytest.mark.parametrize(
    "options",
    [
        {"masked": True, "n_input_masks": 4},
        {"table": True},
        {"table": True, "by_input": True},
    ],
    ids=str,
)
def test_nothing_depends_on_the_number_of_threads(options):
    lengths = list(range(30)) * 2
    one, *others = (
        run_kernel(lengths, 37, n_threads=n, **options)[0] for n in (1, 2, 3, 8)
    )
    for other in others:
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], name)


def test_denormals_count_as_zero_in_the_kernel_and_nowhere_else():
    got, wanted = run_kernel([2], 3, dy_scale=1e-39)
    assert np.abs(wanted["dx"]).max() > 0
    assert not got["dx"].any() and not got["du"].any()
    # In the thread that has run it, too.
    assert np.float32(1e-39) * np.float32(0.5) > 0


@pytest.mark.parametrize(
    "environment",
    [
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"},
    ],
    ids=["plain", "avx2"],
)
def test_the_kernel_agrees_with_narrower_vectors(environment):
    if "+avx2" in environment["NUMBA_CPU_FEATURES"]:
        import llvmlite.binding

        features = llvmlite.binding.get_host_cpu_features()
        if not (features.get("avx2") and features.get("fma")):
            pytest.skip("this machine has no AVX2")
    script = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *TEST_PATHS]!r}\n"
        "import test_packed\n"
        "for lengths in test_packed.CASES:\n"
        "    for units in (1, 9, 37):\n"
        "        for dropped in test_packed.DROPPED:\n"
        "            test_packed.check_kernel(lengths, units, **dropped)\n"
        "    for cell in ('gru', 'simple_rnn'):\n"
        "        test_packed.check_kernel(lengths, 37, cell=cell)\n"
        "from lstm_bench.packed.products import WIDTH\n"
        "print(WIDTH)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    width = "8" if "+avx2" in environment["NUMBA_CPU_FEATURES"] else "4"
    assert done.stdout.strip() == width, done.stderr[-2000:]


GUARDED = """
import ctypes, mmap, sys
import numpy as np
sys.path[:0] = {tests!r}
import test_packed
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
PAGE, held = mmap.PAGESIZE, []

def guarded(*shape):
    n_bytes = 4 * int(np.prod(shape))
    n_pages = -(-n_bytes // PAGE)
    memory = mmap.mmap(-1, (n_pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (start, start + (n_pages + 1) * PAGE):
        assert libc.mprotect(page, PAGE, 0) == 0, ctypes.get_errno()
    held.append(memory)
    # {side}: the array touches the page that nobody may touch.
    offset = PAGE if {side!r} == "first" else (n_pages + 1) * PAGE - n_bytes
    return np.frombuffer(memory, np.float32, n_bytes // 4, offset).reshape(shape)

from lstm_bench.packed import recurrence
make_panels, copies = recurrence.panels, []

def guarded_panels(*arguments):
    panels = make_panels(*arguments)
    copies.append(guarded(len(panels)))
    copies[-1][...] = panels
    return copies[-1]

recurrence.panels = guarded_panels
for lengths in ([7, 0, 3, 1, 7, 2, 5], [6], [29] * 17 + [3]):
    for units, features in ((1, 1), (5, 16), (16, 5), (37, 70), (70, 37)):
        for dropped in test_packed.DROPPED:
            for sequences in (False, True):
                test_packed.check_kernel(
                    lengths,
                    units,
                    features=features,
                    sequences=sequences,
                    take=guarded,
                    **dropped,
                )
for cell in ("gru", "simple_rnn"):
    for dropped in test_packed.DROPPED:
        for units, features in ((1, 1), (37, 70)):
            test_packed.check_kernel(
                [7, 0, 3, 1, 7, 2, 5],
                units,
                cell=cell,
                features=features,
                sequences=True,
                take=guarded,
                **dropped,
            )
for by_input in (False, True):
    options = {{"table": True, "by_input": by_input, "n_ids": 300, "take": guarded}}
    test_packed.check_kernel([60] * 16, 20, **options)
assert held and copies
print("whole")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect")
@pytest.mark.parametrize("side", ["first", "last"])
def test_the_kernel_touches_nothing_beside_its_arrays(side):
    """A page that may not be touched lies before, or right after, each array."""
    script = GUARDED.format(tests=[str(Path(__file__).parent), *TEST_PATHS], side=side)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.stdout.strip() == "whole", done.stderr[-2000:]


# --- the whole model against stock Keras


def make_pair(**options):
    """Return a config, a stock model, and its packed forward with the same weights."""
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.packed.network import PackedForward

    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    config = TrialConfig(**{**SMALL, **options})
    model = build_model(config, 2)
    for weight in model.weights:
        if "seed" not in weight.path:
            # Biases that are not zero, and embeddings large enough to matter.
            # Larger states make a SimpleRNN chaotic: any rounding grows.
            spread = 0.05 if config.cell == "simple_rnn" else 0.2
            noise = keras.random.normal(weight.shape, stddev=spread)
            weight.assign_add(noise)
    return config, model, PackedForward(model, config, lambda: 2)


def outputs_and_gradients(forward, model, tokens, seeds):
    """Return outputs, and every gradient by its variable's path, from given seeds."""
    from lstm_bench.models.backend import tf

    set_seeds(model, seeds)
    with tf.GradientTape() as tape:
        y = forward(tokens, training=True)
        loss = tf.reduce_sum(y[:, 0] * tf.cast(tf.range(1, len(tokens) + 1), "float32"))
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    paths = [v.path for v in model.trainable_variables]
    return np.asarray(y), {
        path: np.asarray(tf.convert_to_tensor(g))
        for path, g in zip(paths, gradients, strict=True)
    }


def seeds_of(model):
    return [v.numpy() for v in model.variables if "seed" in v.path]


def set_seeds(model, seeds):
    own = [v for v in model.variables if "seed" in v.path]
    for variable, value in zip(own, seeds, strict=True):
        variable.assign(value)


def check_gradients(model, packed, tokens, at_least=0.0):
    seeds = seeds_of(model)
    wanted, wanted_gradients = outputs_and_gradients(model, model, tokens, seeds)
    after = seeds_of(model)
    got, gradients = outputs_and_gradients(packed, model, tokens, seeds)
    assert_close(got, wanted)
    assert gradients.keys() == wanted_gradients.keys()
    for path, gradient in gradients.items():
        assert_close(gradient, wanted_gradients[path], path, at_least)
    # Both have drawn as many masks: the next step's are the same too.
    assert np.array_equal(after, seeds_of(model))


def least_of(pooling):
    """Gradients of attention's scores cancel: their sum over a sequence is zero."""
    return 0.1 if pooling == "attention" else 0.0


LENGTHS = [12, 1, 7, 7, 3, 12, 0, 5, 9]
slow = pytest.mark.slow


DROPS = (
    {},
    {"dropout": 0.3},
    {"recurrent_dropout": 0.4},
    {"dropout": 0.2, "recurrent_dropout": 0.3, "head_dropout": 0.1},
)
PER_OCCURRENCE = {"embedding_gradient": "per_occurrence"}
INPUT_DROPS = {"embedding_dropout": 0.4, "token_dropout": 0.2, "spatial_dropout": 0.3}
LAYERS = (
    {},
    {"bidirectional": True},
    {"num_layers": 2},
    {"num_layers": 2, "bidirectional": True, "head": "softmax"},
)
# Multiples in the field of four elements, whose sums are XOR: of the columns d, e,
# d + e, d + 2e and d + 3e any two have every pair of values (an orthogonal array).
TWICE, THRICE = (0, 2, 3, 1), (0, 3, 1, 2)
# A twelfth of all combinations, in which any two choices meet.
COMBINATIONS = [
    (
        (True, False)[(d ^ e) % 2],
        ("pre", "post")[(d ^ TWICE[e]) % 2],
        ("last", "mean", "max", "attention")[d ^ THRICE[e]],
        LAYERS[d],
        DROPS[e],
    )
    for d, e in itertools.product(range(4), repeat=2)
]


def test_any_two_choices_meet_in_the_combinations():
    for i, j in itertools.combinations(range(5), 2):
        pairs = {(str(one[i]), str(one[j])) for one in COMBINATIONS}
        choices = [{str(one[k]) for one in COMBINATIONS} for k in (i, j)]
        assert len(pairs) == len(choices[0]) * len(choices[1])


@slow
@pytest.mark.parametrize(
    ("masking", "padding", "pooling", "layers", "drops"), COMBINATIONS
)
def test_outputs_and_gradients_are_those_of_stock_keras(
    masking, padding, pooling, layers, drops
):
    options = {"masking": masking, "padding": padding, "pooling": pooling}
    config, model, packed = make_pair(**options, **layers, **drops)
    tokens = make_tokens(LENGTHS, 12, config.padding)
    check_gradients(model, packed, tokens, least_of(pooling))
    assert_close(packed(tokens, training=False), model(tokens, training=False))
    assert_close(packed(tokens[:1], training=False), model(tokens[:1], training=False))


@slow
@pytest.mark.parametrize(
    ("cell", "masking", "padding", "pooling", "layers", "drops"),
    [
        (("gru", "simple_rnn")[n % 2 ^ n // 4 % 2], *combination)
        for n, combination in enumerate(COMBINATIONS)
    ],
)
def test_outputs_and_gradients_are_those_of_keras_with_every_cell(
    cell, masking, padding, pooling, layers, drops
):
    options = {"cell": cell, "masking": masking, "pooling": pooling}
    config, model, packed = make_pair(**options, padding=padding, **layers, **drops)
    tokens = make_tokens(LENGTHS, 12, config.padding)
    check_gradients(model, packed, tokens, least_of(pooling))
    assert_close(packed(tokens, training=False), model(tokens, training=False))


def with_evidence(tokens, config):
    """Return the input of a model of `config`: the tokens, with any evidence beside."""
    if not config.ngram_evidence:
        return tokens
    shape = (*tokens.shape, 2 * config.ngram_evidence)
    beside = np.random.default_rng(1).normal(size=shape) * (tokens != 0)[..., None]
    return np.concatenate([beside, tokens[..., None]], axis=2, dtype=np.float32)


@slow
@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "mean_max", "bidirectional": True, "embedding_dropout": 0.4},
        {"pooling": "mean_max", "masking": False, "cell": "gru", **INPUT_DROPS},
        {"cell": "simple_rnn", "num_layers": 2, "padding": "pre", "token_dropout": 0.3},
        {"bidirectional": True, "masking": False, "spatial_dropout": 0.3},
        {"pooling": "max", "num_layers": 2, "dropout": 0.2, **INPUT_DROPS},
        {"ngram_evidence": 1, "bidirectional": True},
        {"ngram_evidence": 2, "padding": "pre", "cell": "gru", **INPUT_DROPS},
        {"ngram_evidence": 3, "masking": False, "dropout": 0.3, "num_layers": 2},
    ],
    ids=str,
)
def test_other_inputs_and_both_poolings_are_those_of_stock_keras(options):
    config, model, packed = make_pair(**options)
    tokens = with_evidence(make_tokens(LENGTHS, 12, config.padding), config)
    check_gradients(model, packed, tokens)
    assert_close(packed(tokens, training=False), model(tokens, training=False))


@slow
@pytest.mark.parametrize(
    ("chop_length", "options"),
    [
        (5, {"pooling": "mean_max", "bidirectional": True}),
        (4, {"pooling": "mean", "dropout": 0.2, "recurrent_dropout": 0.3}),
        (2, {"pooling": "max", "cell": "gru", "num_layers": 2, "dropout": 0.3}),
        (7, {"pooling": "attention", "cell": "simple_rnn", "bidirectional": True}),
        (12, {"pooling": "mean_max", **INPUT_DROPS}),
        (50, {"pooling": "mean_max", "bidirectional": True, **INPUT_DROPS}),
        (5, {"pooling": "max", "ngram_evidence": 1, "token_dropout": 0.2}),
    ],
    ids=str,
)
def test_segments_are_those_of_stock_keras(chop_length, options):
    from lstm_bench.training.batches import jitter

    config, model, packed = make_pair(
        chop_length=chop_length, chop_jitter=True, **options
    )
    tokens = with_evidence(make_tokens(LENGTHS, 12), config)
    moved = jitter(tokens, config, np.random.default_rng(0))
    assert_close(packed(tokens, training=False), model(tokens, training=False))
    check_gradients(model, packed, moved, least_of(config.pooling))
    empty = with_evidence(make_tokens([0, 0], 3), config)
    assert_close(packed(empty, training=False), model(empty, training=False))


@slow
@pytest.mark.parametrize(
    ("units", "lengths", "options"),
    [
        (5, LENGTHS, PER_OCCURRENCE),
        (5, LENGTHS, {"dropout": 0.2, "bidirectional": True, **PER_OCCURRENCE}),
        (70, [12] * 40, {"num_layers": 2, "bidirectional": True, **PER_OCCURRENCE}),
        # More than one vector of any machine, and two panels on the way back.
        (100, LENGTHS, {"dropout": 0.2, "recurrent_dropout": 0.2}),
        (70, [12] * 40, {"num_layers": 2, "bidirectional": True, "pooling": "max"}),
        (17, [7], {"recurrent_dropout": 0.3}),
        (100, LENGTHS, {"cell": "gru", "dropout": 0.2, "recurrent_dropout": 0.2}),
        (70, [12] * 40, {"cell": "gru", "num_layers": 2, "pooling": "attention"}),
        (100, [12] * 40, {"cell": "simple_rnn", "bidirectional": True}),
        (16, [0], {"dropout": 0.3}),
        (5, [0, 0, 0], {"num_layers": 2, "pooling": "mean"}),
        (5, [1], {"bidirectional": True}),
    ],
    ids=str,
)
def test_gradients_are_those_of_stock_keras_at_other_sizes(units, lengths, options):
    config, model, packed = make_pair(units=units, **options)
    tokens = make_tokens(lengths, 12, config.padding)
    check_gradients(model, packed, tokens, least_of(config.pooling))


@slow
@settings(deadline=None, max_examples=12)
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=40),
    units=st.integers(1, 40),
    embedding_dim=st.integers(1, 40),
    cell=st.sampled_from(["lstm", "gru", "simple_rnn"]),
    padding=st.sampled_from(["pre", "post"]),
    pooling=st.sampled_from(["last", "mean", "max", "mean_max", "attention"]),
    layers=st.sampled_from(LAYERS),
    drops=st.sampled_from([*DROPS, INPUT_DROPS]),
    embedding_gradient=st.sampled_from(["per_token", "per_occurrence"]),
)
def test_gradients_are_those_of_stock_keras_at_any_shape(
    lengths, drops, layers, **options
):
    config, model, packed = make_pair(**options, **layers, **drops)
    tokens = make_tokens(lengths, 12, config.padding)
    check_gradients(model, packed, tokens, at_least=0.1)


def losses_of(engine, n_steps, n_reviews=16, **options):
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Steps

    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    config = TrialConfig(**{**SMALL, "learning_rate": 0.01, **options})
    model = build_model(config, 2)
    if engine == "keras":
        train_step = keras_step(model, config)
    else:
        train_step = Steps(model, config, engine).train_step
    n_timesteps, n_ids = config.sequence_length, config.vocabulary_size
    rng, losses = np.random.default_rng(1), []
    for step in range(n_steps):
        lengths = rng.integers(0, n_timesteps + 1, n_reviews)
        tokens = make_tokens(lengths, n_timesteps, config.padding, step, n_ids)
        # What there is to learn: whether a rare id occurs.
        y = ((tokens > 0) & (tokens <= n_ids // n_timesteps)).any(axis=1)
        targets = y[:, None].astype(np.float32)
        if config.head == "softmax":
            targets = np.eye(2, dtype=np.float32)[y.astype(int)]
        losses.append(float(train_step(tokens, targets)[0]))
    return np.array(losses), model


def keras_step(model, config):
    """Return a step as a user of Keras would write it, with a dense gradient or not."""
    from lstm_bench.models.backend import keras, tf

    model.optimizer.build(model.trainable_variables)
    loss_fn = keras.losses.get(model.loss)

    def step(x, y):
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = tf.reduce_mean(loss_fn(y, outputs))
        gradients = tape.gradient(loss, model.trainable_variables)
        if config.embedding_gradient == "per_token":
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss, outputs

    return step


# The size of the write-up's model, at which rounding has more to grow from.
LARGE = {
    "units": 100,
    "embedding_dim": 32,
    "vocabulary_size": 5000,
    "sequence_length": 150,
    "n_reviews": 64,
    "learning_rate": 0.001,
}


@slow
@pytest.mark.parametrize(
    "options",
    [
        {"padding": "pre"},
        {"dropout": 0.2, "recurrent_dropout": 0.2, "head": "softmax"},
        {"num_layers": 2, "bidirectional": True, "pooling": "max", "dropout": 0.1},
        {"optimizer": "rmsprop", "pooling": "mean", "learning_rate": 0.003},
        {"optimizer": "adamw", "units": 33},
        {"optimizer": "sgd", "learning_rate": 0.3},
        {"gradient_clip_norm": 0.05, "pooling": "attention"},
        {"weight_decay": 0.5, "label_smoothing": 0.1, "weight_averaging": 0.9},
        {"pooling": "mean_max", "chop_length": 5, "bidirectional": True, **INPUT_DROPS},
        {"cell": "gru", "dropout": 0.2, "recurrent_dropout": 0.2},
        {"cell": "simple_rnn", "bidirectional": True, "dropout": 0.2},
        {**LARGE, "dropout": 0.2, "recurrent_dropout": 0.2, "head": "softmax"},
    ],
    ids=str,
)
def test_fifty_steps_give_the_losses_of_stock_keras(options):
    stock, stock_model = losses_of("stock", 50, **options)
    packed, packed_model = losses_of("packed", 50, **options)
    np.testing.assert_allclose(packed, stock, rtol=RELATIVE)
    assert packed[-5:].mean() < packed[:5].mean()
    pairs = zip(packed_model.weights, stock_model.weights, strict=True)
    for got, wanted in pairs:
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=1e-4)


@slow
@pytest.mark.parametrize("embedding_gradient", ["per_token", "per_occurrence"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "adamw"},
        {"optimizer": "rmsprop", "learning_rate": 0.003},
        {"optimizer": "sgd", "learning_rate": 0.3},
        {"weight_decay": 0.5},
        {"gradient_clip_norm": 0.05},
        {"weight_averaging": 0.9, "dropout": 0.2},
        {"bidirectional": True, **INPUT_DROPS},
        {"embedding": "frozen"},
    ],
    ids=str,
)
def test_both_engines_train_as_keras_with_the_same_gradient(
    options, embedding_gradient
):
    """Per token, that is Keras with a dense gradient; no token has one every step."""
    few = {"n_reviews": 4, "learning_rate": 0.001, **options}
    few["embedding_gradient"] = embedding_gradient
    losses, wanted = losses_of("keras", 8, **few)
    for engine in ("stock", "packed"):
        own_losses, model = losses_of(engine, 8, **few)
        np.testing.assert_allclose(own_losses, losses, rtol=RELATIVE)
        for got, weight in zip(model.weights, wanted.weights, strict=True):
            assert_close(got.numpy(), weight.numpy(), f"{engine}: {weight.path}")


@slow
def test_a_gradient_per_occurrence_trains_another_model():
    (_, one), (_, other) = (
        losses_of("packed", 8, embedding_gradient=each)
        for each in ("per_token", "per_occurrence")
    )
    vectors = [model.get_layer("embedding").get_weights()[0] for model in (one, other)]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


@slow
def test_a_model_called_twice_before_its_gradient_keeps_both_calls_apart():
    from lstm_bench.models.backend import tf

    _, model, packed = make_pair(
        recurrent_dropout=0.3, num_layers=2, bidirectional=True
    )
    one = make_tokens([12, 3, 5], 12)
    other = make_tokens([2, 9, 1, 8], 12, seed=1)

    def gradients(forward):
        set_seeds(model, seeds)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(forward(one, training=True)) - 2.0 * tf.reduce_sum(
                forward(other, training=True)
            )
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    seeds = seeds_of(model)
    pairs = zip(gradients(packed), gradients(model), strict=True)
    for variable, (got, wanted) in zip(model.trainable_variables, pairs, strict=True):
        dense = map(tf.convert_to_tensor, (got, wanted))
        assert_close(*dense, variable.path)


@slow
def test_two_models_share_one_process():
    _, _, first = make_pair(units=5)
    first_model_outputs = first(make_tokens(LENGTHS, 12), training=False)
    _, second_model, second = make_pair(units=20)
    tokens = make_tokens(LENGTHS, 12)
    assert_close(second(tokens, training=False), second_model(tokens, training=False))
    assert_close(first(tokens, training=False), first_model_outputs)


@slow
def test_models_that_train_in_turns_go_where_each_goes_alone():
    from concurrent.futures import ThreadPoolExecutor

    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Steps

    def make(units):
        keras.utils.set_random_seed(3)
        config = TrialConfig(**{**SMALL, "units": units, "dropout": 0.2})
        return Steps(build_model(config, 2), config, "packed")

    def train(steps, number):
        tokens = make_tokens(LENGTHS, 12, "post", seed=number)
        targets = (tokens == 5).any(axis=1)[:, None].astype(np.float32)
        return float(steps.train_step(tokens, targets)[0])

    wanted = [[train(steps, n) for n in range(6)] for steps in map(make, (5, 20))]
    one, other = make(5), make(20)
    turns = [(train(one, n), train(other, n)) for n in range(6)]
    assert [list(losses) for losses in zip(*turns, strict=True)] == wanted
    # And at the same time, from two threads.
    models = [make(5), make(20)]
    with ThreadPoolExecutor(2) as pool:
        at_once = pool.map(lambda steps: [train(steps, n) for n in range(6)], models)
    assert list(at_once) == wanted


@slow
def test_what_is_not_finite_stays_so():
    _, model, packed = make_pair()
    weights = model.get_layer("lstm_1").get_weights()
    weights[1][0, 0] = np.nan
    model.get_layer("lstm_1").set_weights(weights)
    outputs = np.asarray(packed(make_tokens([5, 4], 12), training=False))
    assert np.isnan(outputs).all()


@slow
def test_another_type_than_float32_is_refused():
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.packed.network import PackedForward

    config = TrialConfig(**SMALL)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(config, 2)
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(TypeError, match="computes in float32 alone, got bfloat16"):
        PackedForward(model, config, lambda: 2)


@slow
def test_a_model_that_is_gone_leaves_no_threads_and_no_memory():
    import gc
    import weakref

    from lstm_bench.packed.recurrence import _alive
    from lstm_bench.training.trial import free_memory

    free_memory()
    n_before, kept = len(_alive), []
    for _ in range(3):
        config, model, packed = make_pair(dropout=0.3, recurrent_dropout=0.3)
        outputs_and_gradients(
            packed, model, make_tokens(LENGTHS, 12, config.padding), seeds_of(model)
        )
        losses_of("packed", 2)
        kept.append(weakref.ref(packed._recurrence))
        del model, packed
    free_memory()
    gc.collect()
    assert [ref() for ref in kept] == [None] * 3
    # Of the models that were trained in a graph, too.
    assert len(_alive) == n_before
