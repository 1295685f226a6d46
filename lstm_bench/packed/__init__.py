r"""An LSTM that computes no padding, several times as fast as Keras's own on a CPU.

It computes what a stock model's LSTMs compute, from the same weights; it is no layer of
its own (`network.PackedForward`). What follows is what a reader of the kernel needs.

Notation
--------
A review has tokens t = 0, 1, ..., n - 1 with inputs x_t. The LSTM (Hochreiter &
Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers, Schmidhuber
& Cummins, 2000) has ``units`` units and, in Keras's order i, f, c, o, four gates. W, U
and b are Keras's ``kernel``, ``recurrent_kernel`` and ``bias``, each four blocks of
columns, and * multiplies element by element.

Forward
-------
With h_-1 = c_-1 = 0 and, for each gate k in i, f, g, o (Keras calls g by the name c),

    z_k = (m_k * x_t) W_k + (r_k * h_(t-1)) U_k + b_k
    i = sigmoid(z_i)    f = sigmoid(z_f)    g = tanh(z_g)    o = sigmoid(z_o)
    c_t = f * c_(t-1) + i * g
    h_t = o * tanh(c_t)

m_k and r_k are dropout's masks (0, or 1 / (1 - rate)), drawn once for a review and the
same at all its steps. As in ``keras.layers.LSTMCell``, each gate has masks of its own
where the state is dropped, and where only inputs are, one mask serves all four.

Back
----
The loss's gradients come from above as dy_t (zero but for the last token where only the
last output is used). From the last token to the first (backpropagation through time;
Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012, section
4.6), with dh and dc = 0 beyond the last:

    dh   = dy_t + dh
    dc   = dc + dh * o * (1 - tanh(c_t)^2)
    dz_i = dc * g * i * (1 - i)
    dz_f = dc * c_(t-1) * f * (1 - f)
    dz_g = dc * i * (1 - g^2)
    dz_o = dh * tanh(c_t) * o * (1 - o)
    dc   = dc * f                                   for t - 1
    dh   = sum over k of r_k * (dz_k U_k^T)         for t - 1

All other gradients are sums over tokens of all reviews, one matrix product each:

    dU_k = sum (r_k * h_(t-1))^T dz_k
    dW_k = sum (m_k * x_t)^T dz_k        db_k = sum dz_k
    dx_t = sum over k of m_k * (dz_k W_k^T)

How it is laid out
------------------
`layout.Layout`: tokens are rows, sorted so that the rows of one step stand together and
begin with the same reviews as those of the step before. Step t is then a product of
the first n_t rows of h with U, n_t the number of reviews that are so long, as in
PyTorch's packed sequences. The reviews are dealt to parts of at most sixteen,
which the threads take in turn: a batch of 64 keeps four threads busy.

The input's share, x W + b, comes from a table with one row for each distinct token
(2,750 of 14,600 in a batch of 64 reviews), and each row of the layout knows its place
in it (``index``). Where inputs are dropped, and in the layers above, rows differ, and
their share is computed some steps ahead.

`forward` takes a part through its steps: z of a step's rows is one product with U, and
then these rows go through their gates. With masks of each gate it is four products, of
four copies of h. h of the step before, c and the gates of every row are kept.

`backward` takes some steps at a time (a chunk, `scratch`): first their gates and dh,
from the last to the first; then, while dz of the chunk is in the cache, the sums of
dU, dW and db over its rows, and dx. Where inputs come from the table, dz of all of a
part's rows with the same input is added up first (`shared`), since x^T dz of each
would be a product more. No sum is longer than a chunk before it is added to those of
the others: of thousands of alike rows, each would lose the same digits. The sums are
the part's own, and added at the end in the order of the parts, so that they do not
depend on the number of threads. x has a last feature that is 1, whose weights are b.

`tiles`: the inner loops, written as vector instructions (`vectors`), since Numba's own
loops came out three to four times as slow. A tile of a product is up to six rows by
four vectors of columns, whose sums stay in registers; `products` puts matrices together
from them. What rows are multiplied by is copied into panels of four vectors of columns
(`recurrence.panels`), so that a tile reads it in one stream. So written, products run
at the speed of a large GEMM, which TensorFlow's do not: they are too small for it, and
masked copies of their inputs would have to go through memory.

`grouped` takes Adam's step for the embedding, which `optimizer` puts in the place of
Keras's own.

`recurrence` holds the arrays and `team` the threads, `operation` is the operation that
TensorFlow sees with its gradient, and `network` calls it for a whole model. `choice`
says when all this is used.

What differs from Keras's LSTM
------------------------------
Sums are added in another order and sigmoid and tanh are other approximations: outputs
and gradients differ by some 1e-6 of the largest, as each does from float64. tanh is 1
or -1 beyond 8. Numbers below 1e-38 (denormals) count as zero. Weights so large that
gradients explode make more of any rounding, of Keras's too.

An embedding's gradient is one row for each occurrence of a token, as from Keras's
layer: Keras's optimizers square it before they add the rows, so adding them first would
train another model.

Why Numba, and its upkeep
-------------------------
A C++ extension would be as fast. It would need a wheel for each system, processor and
Python, or a compiler at the user's, and could not take the widest vectors of the
machine it runs on without a kernel for each. Numba's wheels bring LLVM (some 200 MB
installed) and compile for the processor that is there, once.

The package has some 3,500 lines, half of them of the kernel, and what it leans on of
Numba is little and old: ``njit`` with explicit types, ``nogil``, the cache, and
``extending.intrinsic``, whose bodies are LLVM's instructions through llvmlite. What an
upgrade may break: the text of the instructions (`vectors`, `tiles`, `denormals` are all
that know it), the event that tells of compiling (`kernel`), and the place of the cache.
Whatever breaks, `running` and `choice` see before a training begins, since the kernel
is run, and compared with Keras's LSTM, in every process; `engine: auto` then goes on
with Keras's own. Of Keras it leans on the names of an LSTM cell's weights, on how a
cell draws its dropout masks (`network`), and on Adam's formula (`optimizer`), all in
that comparison too.
"""
