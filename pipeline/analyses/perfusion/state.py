"""Whether a perfusion series was taken at rest or under stress, by the words of its description."""

import re
from collections.abc import Iterable, Sequence

REST, STRESS = "rest", "stress"
"""States of a heart."""

WORD = re.compile(r"[^\W\d_]+")
"""A word: letters alone, so that ``stress_1`` and ``RestPerf2`` hold ``stress``."""

CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where a word begins that is written together with the one before it."""


def state_of(
    texts: Iterable[str], rest_words: Sequence[str], stress_words: Sequence[str]
) -> str | None:
    """Return ``rest`` or ``stress``; None where no word or words of both say so.

    Parameters
    ----------
    texts
        Descriptions of the series.
    rest_words, stress_words
        Words that say it, in small letters.
    """
    words = {word.lower() for text in texts for word in WORD.findall(CAPITAL.sub(" ", text))}
    is_rest, is_stress = bool(words & set(rest_words)), bool(words & set(stress_words))
    if is_rest == is_stress:
        return None
    return REST if is_rest else STRESS
