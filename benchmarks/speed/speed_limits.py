"""What limits each row of the speed report now, in words; written by hand.

By the row's name, as Markdown. A row without a text is left out of the page. Shares are
from TensorFlow's profiler, on a machine that the page names.
"""

LIMITS: dict[str, str] = {
    "steps": (
        "On the machine of the training steps, without plain Keras in between: of the "
        "39.5 ms of a step of model A at length 500 the way back takes 24.0, the way "
        "forward 9.9, Adam's step for the embedding 2.0, the layout 0.6, and what "
        "else TensorFlow and Python do 2.9. Nearly all of the way back is products, "
        "which go at about nine tenths of the speed of a large GEMM. A third of these, "
        "the embedding's gradient for each occurrence of a word and not for each "
        "word, is only there because Keras's optimizers square it before it is added "
        "up. A sixth of the way forward is the table of the words' shares of the "
        "gates; of the rest two thirds are products, and the others exp and division "
        "of the gates and what is kept for the way back, which fits no cache. Model B "
        "drops inputs, so that every word has its own share of the gates to compute, "
        "forward and back. At length 200 plain Keras computes little padding, and with "
        "256 units it is bound by GEMM: what is left to win there is small. With 32 "
        "units what a step costs beside its products is more than half of it."
    ),
    "evaluation": (
        "The recurrence is three quarters of it, half of that its product; embedding, "
        "inputs' share and layout are the rest."
    ),
    "sweep": (
        "Of the command's time about a fifth is its start: imports, the kernel and its "
        "self-test in three processes on two cores. A trial costs 0.8 s beside its "
        "training: tracing, MLflow, figures and metrics. The rest are training steps "
        "on one thread, at 50 to 200 tokens with little padding to leave out, where "
        "the ratio of a step is small (above); with 16 units half of a step is not "
        "products. With more trials the start weighs less: see the ratio once each "
        "process has ended its first. A worker's 16 trials "
        "(`benchmarks/speed/shares.py`, idle, one thread) spent 90.4 % in training and "
        "validation steps, 3.7 % on MLflow, figures included, 2.6 % on making and "
        "tracing models, 1.4 % on giving memory back, 1.1 % on metrics and 0.4 % on "
        "making batches. That is the most that writing from another thread, using "
        "models of equal shape again, or making batches ahead can win, and less than "
        "that where every core already trains; so none of them is done. The ratio "
        "depends on the machine: one with 527 GFLOP/s on registers, and a kernel of a "
        "few changes before, took 49 s and came to 5.8 and 4.2 times: both sides pay "
        "for starts and stores, and only plain Keras's steps, bound by what they cost "
        "beside products, gain little from more of these a second."
    ),
    "time_to_accuracy": (
        "With the same model the training step, and how many steps a seed happens to "
        "take on either side: 196 to 587, so that the ratios of single seeds spread "
        "fourfold, and that their median is above the ratio of a step (here 6) is "
        "chance as much as masking. The LSTM that a search found was there at the "
        "second check, with one seed at the third; fewer than 98 steps were not scored."
    ),
    "growth": (
        "Small models are bound by what a step costs beside its products, some 5 ms "
        "here: Adam's step for 10,000 words' embeddings 2, TensorFlow and Python 2 to "
        "3, the layout 0.5. So their exponent of units is below that of multiply-adds, "
        "which is 2. Beyond 200 tokens most reviews have ended: length costs plain "
        "Keras padding, and the packed LSTM little."
    ),
    "seeds": (
        "Five seeds, the first of those above, settle no point: one exploded, and they "
        "give −0.0116 (95 % −0.0423 to +0.0191) with the weights that are kept and "
        "−0.0589 (−0.2116 to +0.0938) after the last epoch; so there are thirty. What "
        "limits it are the trainings themselves: from the same weights the two engines "
        "take the same steps to rounding, which then grows until two of a pair are as "
        "far apart as two seeds are. Now and then the gradient explodes, as an LSTM's "
        "without clipping does, and the accuracy falls for a while: with either "
        "engine, and that is most of the intervals' width. Along the training of the "
        "packed LSTM with seed 2, which ends so (a gradient of 97 in step 890 of 939), "
        "Keras's own computed the same loss within 3e-5 and the same gradients within "
        "2e-3 of the largest in every step, 6e-6 in the median one "
        "(`benchmarks/speed/side_by_side.py`). No time is compared here, and this "
        "row's peaks are no limit of the machine: the first was measured beside other "
        "work, the last on one thread."
    ),
}
