r"""LSTM, GRU and SimpleRNN without padding, several times as fast as Keras's on a CPU.

They compute the same as a stock model's recurrent layers, from the same weights; they
are not layers (`network.PackedForward`). This text introduces the kernel.

Notation
--------
A sequence has tokens t = 0, 1, ..., n - 1 with inputs x_t. The LSTM (Hochreiter &
Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers, Schmidhuber &
Cummins, 2000) has ``units`` units and four gates, in Keras's order i, f, c, o. W, U and
b are Keras's ``kernel``, ``recurrent_kernel`` and ``bias``, each with four blocks of
columns, and * multiplies elementwise.

Forward
-------
With h_-1 = c_-1 = 0 and, for each gate k in i, f, g, o (Keras calls g by the name c),

    z_k = (m_k * x_t) W_k + (r_k * h_(t-1)) U_k + b_k
    i = sigmoid(z_i)    f = sigmoid(z_f)    g = tanh(z_g)    o = sigmoid(z_o)
    c_t = f * c_(t-1) + i * g
    h_t = o * tanh(c_t)

m_k and r_k are dropout's masks (0, or 1 / (1 - rate)), drawn once per sequence and used
at all its steps. As in ``keras.layers.LSTMCell``, each gate has its own masks if the
state is dropped; if only inputs are dropped, all four gates share one mask.

Backward
--------
The loss's gradients from the layers above are dy_t (zero except for the last token if
only the last output is used). From the last token to the first (backpropagation through
time; Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012,
section 4.6), with dh and dc = 0 beyond the last:

    dh   = dy_t + dh
    dc   = dc + dh * o * (1 - tanh(c_t)^2)
    dz_i = dc * g * i * (1 - i)
    dz_f = dc * c_(t-1) * f * (1 - f)
    dz_g = dc * i * (1 - g^2)
    dz_o = dh * tanh(c_t) * o * (1 - o)
    dc   = dc * f                                   for t - 1
    dh   = sum over k of r_k * (dz_k U_k^T)         for t - 1

All other gradients are sums over the tokens of all sequences, one matrix product each:

    dU_k = sum (r_k * h_(t-1))^T dz_k
    dW_k = sum (m_k * x_t)^T dz_k        db_k = sum dz_k
    dx_t = sum over k of m_k * (dz_k W_k^T)

GRU and SimpleRNN
-----------------
The GRU (Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014)
is Keras's, which resets after the product with U (``reset_after``, as cuDNN does), and
so has a bias b' of its own for U. With its gates u, r and the candidate g (Keras calls
them z, r and h; r_k with an index is a mask as above):

    z_k = (m_k * x_t) W_k + (r_k * h_(t-1)) U_k + b_k + b'_k        for k in u, r
    s   = (r_g * h_(t-1)) U_g + b'_g        a = (m_g * x_t) W_g + b_g
    u = sigmoid(z_u)    r = sigmoid(z_r)    g = tanh(a + r * s)
    h_t = u * h_(t-1) + (1 - u) * g

For the kernel it has four gates, u, r, s and a: inputs contribute to all four, with W_s
= 0 and b_s = b'_g, and h of the step before to the first three (`tiles.Cell`). So the
product with U is added to the inputs' contribution as the LSTM's is, and only the last
gate reads that contribution itself. Masks are drawn for three gates; s and a share the
third. Backward, with dh, and the direct part of it dc, 0 beyond the last token:

    dh   = dy_t + dh + dc
    da   = dh * (1 - u) * (1 - g^2)                 ds = da * r
    dz_u = dh * (h_(t-1) - g) * u * (1 - u)
    dz_r = da * s * r * (1 - r)
    dc   = dh * u                                   for t - 1
    dh   = sum over k in u, r, s of r_k * (dz_k U_k^T)      for t - 1

The SimpleRNN (Elman, "Finding Structure in Time", 1990) has a single gate, and one mask
each for inputs and state:

    h_t = tanh((m * x_t) W + (r * h_(t-1)) U + b)
    dh  = dy_t + dh      dz = dh * (1 - h_t^2)      dh = r * (dz U^T)   for t - 1

All other gradients are the sums above. Where no c is, none is stored.

Memory layout
-------------
`layout.Layout`: tokens are rows, sorted so that the rows of one step are contiguous and
begin with the same sequences as those of the step before. Step t is then a product of
the first n_t rows of h with U, where n_t is the number of sequences longer than t, as
in PyTorch's packed sequences. The sequences are divided into parts of at most sixteen,
which the threads process in turn: a batch of 64 occupies four threads.

The input's contribution, x W + b, comes from a table with one row per distinct token
(2,750 of 14,600 in a batch of 64 IMDB reviews), and each row of the layout has its
index in the table (``index``). If inputs are dropped, whether before the layer or by
it, and in the layers above, rows differ, and their contribution is computed some steps
ahead.

Where sequences are read in segments (``chop_length``), these are the layout's
sequences, those without tokens left out (`layout.segments_with_tokens`): all are then
of about one length. Keras's layers draw masks for all segments, of which those with
tokens are taken, and the sums and maxima of pooling are over the rows of each sequence,
whatever their segments.

Dropout between embedding and first layer is drawn by the model's own layers, for
padding too, on a tensor of ones; each row takes the mask at its position, so that the
same seed drops the same numbers as in Keras.

`forward` computes the steps of a part: z of a step's rows is one product with U, and
then these rows pass their gates. With masks for each gate there is a product for each,
of as many copies of h. For the backward pass, h of the step before, c and the gates of
every row are stored.

`backward` processes some steps at a time (a chunk, `scratch`): first their gates and
dh, from the last to the first; then, while dz of the chunk is in the cache, the sums of
dU, dW and db over its rows, and dx. If inputs come from the table, dz of all rows of a
part with the same input is summed first (`shared`), since x^T dz of each would be one
more product, and so would dx = dz W^T: the gradient of an embedding is computed once
for each distinct token of a part, and the parts' are added. If inputs are dropped, rows
have masks of their own, and dx is computed for each row and added by token. No sum is
longer than a chunk before it is added to the others: in a running sum of thousands of
similar rows each would lose the same digits. Each part has its own sums, which are
added at the end in the order of the parts, so that the result does not depend on the
number of threads. x has an additional last feature 1, whose weights are b.

`tiles`: the inner loops, written as vector instructions (`vectors`), since loops
compiled from Python by Numba were three to four times as slow. A tile of a product is
up to six rows by four vectors of columns, whose sums stay in registers; `products`
assembles matrices from tiles. The right factor is copied into panels of four vectors of
columns (`recurrence.panels`), so that a tile reads it contiguously. Such products run
at the speed of a large GEMM, which TensorFlow's do not: they are too small, and masked
copies of their inputs would have to go through memory.

`grouped` computes Adam's step for the embedding, which `optimizer` uses in place of
Keras's own.

`recurrence` has the arrays and `team` the threads, `operation` is the TensorFlow
operation with its gradient, and `network` calls it for a whole model. `choice` decides
when the packed engine is used.

Differences from Keras's layers
-------------------------------
Sums are added in another order, and sigmoid and tanh use other approximations: outputs
and gradients differ by some 1e-6 of the largest, as each does from float64. tanh is 1
or -1 beyond 8. Numbers below 1e-38 (denormals) count as zero. If the weights are so
large that gradients explode, any rounding is amplified, in Keras's layers too.

An embedding's gradient is the sum over a token's occurrences, in a tensor of the
embedding's shape. TensorFlow's gradient has one row for each occurrence, which Keras's
optimizers square before they add the rows, so it trains a different model:
``embedding_gradient: per_occurrence`` does the same, and then dx is computed for every
row. With ``per_token`` both engines train as Keras does with a dense gradient.

Why Numba, and its maintenance
------------------------------
A C++ extension would be as fast. It would need a wheel for each system, processor and
Python version, or a compiler on the user's machine, and could only use the widest
vectors of the machine with a kernel for each width. Numba's wheels include LLVM (some
200 MB installed) and compile once, for the processor at hand.

The package has some 3,500 lines, half of them for the kernel, and depends on a small
and old part of Numba: ``njit`` with explicit types, ``nogil``, the cache, and
``extending.intrinsic``, whose bodies are LLVM instructions through llvmlite. An upgrade
may break: the text of the instructions (only in `vectors`, `tiles` and `denormals`),
the event for compilation (`kernel`), and the location of the cache. `self_test` and
`choice` detect a failure before a training begins, since every process runs the kernel
and compares it with Keras's layer; `engine: auto` then continues with Keras's own. Of
Keras it depends on the names of a cell's weights, on how a cell draws its dropout masks
(`network`), and on Adam's formula (`optimizer`), which the comparison covers too.
"""
