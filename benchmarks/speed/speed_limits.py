"""What limits each row of the speed report now, in words; written by hand.

By the row's name, as Markdown. A row without a text is left out of the page. Shares are
from TensorFlow's profiler, on the machine that the page names.
"""

LIMITS: dict[str, str] = {
    "steps": (
        "Of a step of model A at length 500 the recurrence takes about 45 % (forward "
        "25, back 20), the products of large matrices 35 %, Adam's step 8 %, sums by "
        "token, layout and calls the rest. The products run near the speed of GEMM. "
        "One of them, the embedding's gradient for each occurrence of a word and not "
        "for each word, is only there because Keras's optimizers square it before it "
        "is added up. The recurrence runs at half of the peak: what is beside its "
        "multiply-adds costs as much at 100 units, namely exp and division of the "
        "gates, rows of the inputs' share that come from the L3 cache, and gates that "
        "are written for the way back and fit no cache. Model B adds four masked "
        "copies of inputs and states, which wait for memory. With 256 units at length "
        "200 plain Keras is bound by GEMM, too, and computes little padding: what is "
        "left to win there is small. Plain Keras itself runs at two speeds, half as "
        "fast in most rounds; the least ratios are those of its fast rounds."
    ),
    "evaluation": (
        "The recurrence is three quarters of it, at about the speed of training's; "
        "embedding, inputs' share and layout are the rest."
    ),
    "sweep": (
        "Both cores are busy nine tenths of the time. Of what they compute 70 % are "
        "training steps, at 50 to 200 tokens with little padding to leave out; 13 % "
        "are imports, the kernel and its self-test in three processes; 16 % are "
        "tracing, MLflow, figures and metrics, a second for each trial. With more "
        "trials the start weighs less: see the ratio once each process has ended its "
        "first."
    ),
    "time_to_accuracy": (
        "With the same model the training step, and how many steps a seed happens to "
        "take, from 294 to 685 on either side: three seeds say little of the ratio. "
        "The LSTM that a search found takes steps of 7 ms, and was there at the second "
        "check with every seed; fewer than 98 steps were not scored."
    ),
    "growth": (
        "Small models are bound by what a step costs beside its products (about 2 ms), "
        "so their exponent of units is below that of multiply-adds, which is 2."
    ),
    "seeds": (
        "The trainings themselves: with either engine the accuracy on test moves by up "
        "to 3.5 points from the second epoch to the third, and rounding sends the two "
        "of a pair different ways within an epoch. Five pairs place the difference "
        "within some three points and not within one; that would take dozens. Measured "
        "beside other work, which moves no accuracy, but the peaks of that run."
    ),
}
