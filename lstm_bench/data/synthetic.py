"""Reviews written by a small grammar, whose label can be read out of the words.

A review is filler, drawn from a Zipf vocabulary, with some *mentions* in it.
A mention says one thing about the film, in one of three forms::

    plain      is [adverb] CUE noun                    is truly great film
    negated    is not [adverb] OPPOSITE noun           is not very awful plot
    contrast   is OPPOSITE but [adverb] CUE noun       is dull but great film

The rule (`true_label`): a cue right before "but" does not count; a cue right
after "not", an adverb between them or not, counts as its opposite; the label is
the sign of the sum. "not" and "but" are also in the filler, where they mean
nothing. All mentions of a review are in its opening, or all in its tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import INDEX_FROM, START, Dataset, Sequences, Sizes
from lstm_bench.data.generated import (
    GeneratedOptions,
    filler_words,
    flip_labels,
    generated_dataset,
)
from lstm_bench.seeding import derive_rng

SYNTHETIC = True
DESCRIPTION = (
    "Synthetic film reviews written by a small grammar with negation, contrast "
    "and cues far from the end; for trying things out and for tests."
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


POSITIVE = _words(
    """
    good great excellent wonderful brilliant superb moving charming clever funny
    beautiful perfect
    """
)
NEGATIVE = _words(
    """
    bad awful terrible boring dull stupid weak poor horrible lame messy worst
    """
)
ADVERBS = _words(
    """
    very really quite truly so too
    """
)
NOUNS = _words(
    """
    film movie story plot acting cast script ending scene picture
    """
)
FUNCTION_WORDS = _words(
    """
    the and a of to is br in it i this that was as for with but on not you are his
    have he be one at all by an who they from so like her or just about out if has
    there some what when more very up no time even she my would which only story
    really see their had can were me than we much been get will into also because
    """
)
N_FILLER_WORDS = 2000

EARLY_WINDOW = TAIL_WINDOW = 50
"""Words at the opening and at the end of a review that have its mentions."""

# A log-normal with IMDB's median 175 and mean 234: mean / median = exp(sigma² / 2).
LENGTH_MEDIAN, LENGTH_SIGMA = 175.0, float(np.sqrt(2 * np.log(234 / 175)))
LENGTH_MIN, LENGTH_MAX = 10, 2493

ZIPF_EXPONENT, ZIPF_SHIFT = 1.8, 2.7

# Words between the starts of two mentions; the longest mention has six words.
MENTION_SPACING = 7
MIN_MENTIONS, MAX_MENTIONS = 5, 7
FORM_SHARES = (0.75, 0.1, 0.15)
"""Probability of each form of a mention: plain, negated, contrast."""
_FORM_CUMULATIVE = np.cumsum(FORM_SHARES)


class Options(GeneratedOptions):
    """What a suite may set under ``dataset.options``."""

    early_cue_share: float = Field(
        0.45,
        ge=0.0,
        le=1.0,
        description="Share of reviews whose label depends on their first "
        f"{EARLY_WINDOW} words; the others' depends on their last {TAIL_WINDOW}.",
    )


def true_label(words: Sequence[str]) -> int:
    """Return the label that the grammar's rule reads out of a review's words.

    Returns
    -------
    int
        1 if positive, 0 if negative, before label noise.

    Raises
    ------
    ValueError
        The words hold no cue that counts, or as many of either kind.
    """
    total = 0
    for i, word in enumerate(words):
        sign = _CUE_SIGN.get(word, 0)
        if sign == 0 or (i + 1 < len(words) and words[i + 1] == "but"):
            continue
        before = i - 1
        if before >= 0 and words[before] in _ADVERB_SET:
            before -= 1
        total += -sign if before >= 0 and words[before] == "not" else sign
    if total == 0:
        raise ValueError(
            f"expected a review of the synthetic grammar, got {len(words)} words "
            "whose cues cancel out or are missing"
        )
    return int(total > 0)


def sizes(options: Options) -> Sizes:
    """Return what the options alone fix."""
    return Sizes(n_classes=2, n_train=options.n_train)


def load(options: Options, data_dir: Path | None, seed: int) -> Dataset:
    """Write the reviews; equal seeds and options give equal ones.

    Parameters
    ----------
    data_dir : Path or None
        Not used: nothing is read.
    """
    rng = derive_rng(seed, "synthetic")
    train_words, train_offsets, train_y = _write(options.n_train, options, rng)
    test_words, test_offsets, test_y = _write(options.n_test, options, rng)

    # Words that training lacks come last, in the lexicon's order, so that no test
    # review loses the word its label hangs on.
    counts = np.bincount(train_words[train_words >= 0], minlength=len(LEXICON))
    by_rank = np.argsort(-counts, kind="stable")
    token_of_word = np.empty(len(LEXICON) + 1, np.int32)
    token_of_word[by_rank] = np.arange(len(LEXICON)) + 1 + INDEX_FROM
    token_of_word[_START_WORD] = START

    train = Sequences(token_of_word[train_words], train_offsets, train_y)
    test = Sequences(token_of_word[test_words], test_offsets, test_y)
    return generated_dataset(
        "synthetic",
        DESCRIPTION,
        train,
        test,
        class_names=("negative", "positive"),
        vocabulary=tuple(LEXICON[i] for i in by_rank),
        example="review",
        seed=seed,
        label_noise=options.label_noise,
        note=f"{options.early_cue_share:.0%} of the reviews are decided by their first "
        f"{EARLY_WINDOW} words, which truncating: pre cuts off.",
    )


_CUE_SIGN = {**dict.fromkeys(POSITIVE, 1), **dict.fromkeys(NEGATIVE, -1)}
_ADVERB_SET = frozenset(ADVERBS)
_FIXED = list(dict.fromkeys([*FUNCTION_WORDS, *NOUNS, *ADVERBS, *POSITIVE, *NEGATIVE]))
_FILLER = filler_words(N_FILLER_WORDS, set(_FIXED))
# Filler in the order of its Zipf ranks: everything but the cues.
_NEUTRAL = [w for w in _FIXED if w not in _CUE_SIGN] + _FILLER
LEXICON = (*_NEUTRAL, *POSITIVE, *NEGATIVE)
_START_WORD = -1
_INDEX = {word: i for i, word in enumerate(LEXICON)}
_IS, _NOT, _BUT = _INDEX["is"], _INDEX["not"], _INDEX["but"]


def _write(
    n: int, options: Options, rng: np.random.Generator
) -> tuple[IntArray, IntArray, IntArray]:
    """Write `n` reviews.

    Returns
    -------
    words : int64 ndarray of shape (n_tokens,)
        Indices into `LEXICON`; -1 where a review starts.
    offsets : int64 ndarray of shape (n + 1,)
    y : int64 ndarray of shape (n,)
        Labels, noise included.
    """
    lengths = _lengths(n, rng)
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)]).astype(np.int64)
    weights = (np.arange(len(_NEUTRAL)) + ZIPF_SHIFT) ** -ZIPF_EXPONENT
    cumulative = np.cumsum(weights) / weights.sum()
    words: IntArray = np.searchsorted(cumulative, rng.random(int(offsets[-1])))
    words[offsets[:-1]] = _START_WORD

    truth = rng.permutation(np.arange(n) % 2)
    is_early = rng.random(n) < options.early_cue_share
    for i in range(n):
        n_words = int(lengths[i])
        window = min(n_words, EARLY_WINDOW if is_early[i] else TAIL_WINDOW)
        n_fit = min(MAX_MENTIONS, window // MENTION_SPACING)
        n_mentions = int(rng.integers(min(MIN_MENTIONS, n_fit), n_fit + 1))
        first = int(offsets[i]) + 1 + (0 if is_early[i] else n_words - window)
        slot = window // n_mentions
        for k in range(n_mentions):
            form = int(np.searchsorted(_FORM_CUMULATIVE, rng.random()))
            mention = _mention(int(truth[i]), form, rng)
            at = first + k * slot + int(rng.integers(slot - len(mention) + 1))
            words[at : at + len(mention)] = mention
    return words, offsets, flip_labels(truth, options.label_noise, rng)


def _lengths(n: int, rng: np.random.Generator) -> IntArray:
    """Return `n` review lengths in words, start token not counted."""
    drawn = rng.lognormal(np.log(LENGTH_MEDIAN), LENGTH_SIGMA, n)
    lengths: IntArray = np.clip(np.rint(drawn), LENGTH_MIN, LENGTH_MAX).astype(np.int64)
    return lengths


def _mention(label: int, form: int, rng: np.random.Generator) -> list[int]:
    """Return the words of one mention that speaks for `label`."""
    pick = rng.random(4)
    agreeing, opposing = (POSITIVE, NEGATIVE) if label else (NEGATIVE, POSITIVE)
    cue = _INDEX[agreeing[int(pick[0] * len(agreeing))]]
    opposite = _INDEX[opposing[int(pick[1] * len(opposing))]]
    noun = _INDEX[NOUNS[int(pick[2] * len(NOUNS))]]
    # Half of the mentions have an adverb.
    i_adverb = int(pick[3] * 2 * len(ADVERBS))
    adverb = [_INDEX[ADVERBS[i_adverb]]] if i_adverb < len(ADVERBS) else []
    # "is" and the noun keep a filler's "not" and "but" from touching the cue.
    if form == 0:
        return [_IS, *adverb, cue, noun]
    if form == 1:
        return [_IS, _NOT, *adverb, opposite, noun]
    return [_IS, opposite, _BUT, *adverb, cue, noun]
