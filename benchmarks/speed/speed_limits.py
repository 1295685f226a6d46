"""What limits each row of the speed report, in words; written by hand.

By the row's name, as Markdown. A row without a text is left out of the page. Shares are
from TensorFlow's profiler, on a machine that the page names.
"""

LIMITS: dict[str, str] = {
    "steps": (
        "Measured without plain Keras in between, a step of model A at length 500 "
        "takes 39.5 ms: 24.0 in the backward pass, 9.9 in the forward pass, 2.0 in "
        "Adam's step for the embedding, 0.6 in the layout, and 2.9 in the rest of "
        "TensorFlow and Python. Nearly all of the backward pass is matrix products, "
        "at about nine tenths of the speed of a large GEMM. A third of these products "
        "are the embedding's gradient for each occurrence of a word instead of each "
        "word: Keras's optimizers square it before they sum it. A sixth of the forward "
        "pass computes the words' inputs to the gates; of the rest two thirds are "
        "products, and one third exp and division of the gates and storing what the "
        "backward pass needs, which fits no cache. Model B drops inputs, so that every "
        "word of every review has its own inputs to the gates, forward and backward. "
        "At length 200 plain Keras computes little padding, and with 256 units it is "
        "bound by GEMM, which leaves little to gain. With 32 units more than half of a "
        "step is not products."
    ),
    "evaluation": (
        "The recurrence takes three quarters, half of that its matrix product; the "
        "embedding, the inputs to the gates and the layout take the rest."
    ),
    "sweep": (
        "About a fifth of the command's time is its start: imports, the kernel and its "
        "self-test in three processes on two cores. A trial costs 0.8 s beside its "
        "training: tracing, MLflow, figures and metrics. The rest are training steps "
        "on one thread, at 50 to 200 tokens with little padding to leave out, where "
        "the ratio of a step is small (above); with 16 units half of a step is not "
        "products. With more trials the start weighs less: see the ratio once each "
        "process has ended its first. "
        "[Where a trial's seconds go](../../../docs/performance.md#parts-of-a-trial) "
        "has the share of each part. The ratio depends on the machine: with 527 "
        "GFLOP/s on registers, and an earlier version of the kernel, the command took "
        "49 s, and was 5.8 and 4.2 times as fast. Both sides pay for starts and "
        "stores, and only plain Keras's steps, most of whose time is not products, "
        "gain little from more GFLOP/s."
    ),
    "time_to_accuracy": (
        "With the same model the ratio is that of the training step times that of the "
        "steps needed, which vary by seed from 196 to 587 on either side. So the "
        "ratios of single seeds spread fourfold, and chance as much as masking puts "
        "their median above the ratio of a step (6 here). The LSTM that a search found "
        "reached the target at the second check, with one seed at the third; it was "
        "not scored before step 98."
    ),
    "growth": (
        "Small models are bound by what a step costs beside its products, some 5 ms "
        "here: Adam's step for 10,000 words' embeddings 2, TensorFlow and Python 2 to "
        "3, the layout 0.5. So their exponent of units is below 2, that of the "
        "multiply-adds. Beyond 200 tokens most reviews have ended: for plain Keras "
        "length adds padding, for the packed LSTM little."
    ),
    "seeds": (
        "Five seeds, the first of those above, settle nothing: one training exploded, "
        "and they give −0.0116 (95 % −0.0423 to +0.0191) with the weights that are "
        "kept and −0.0589 (−0.2116 to +0.0938) after the last epoch. So there are "
        "thirty. The trainings themselves limit the precision: from the same weights "
        "the two engines take the same steps up to rounding, which then grows until "
        "the two of a pair are as far apart as two seeds are. Now and then the "
        "gradient explodes, as that of an LSTM without clipping does, and the accuracy "
        "falls for a while. It happens with either engine and makes most of the "
        "intervals' width. In the training of the packed LSTM with seed 2, which ends "
        "so, both engines computed the same losses and gradients [at every "
        "step](../../../docs/performance.md#both-engines-along-one-training). No time "
        "is compared here, and this row's peaks are no limit of the machine: the first "
        "was measured beside other work, the last on one thread."
    ),
}
