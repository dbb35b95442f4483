"""Attention as links between words."""

from __future__ import annotations

import pytest
import torch

from rnntool.search.alignment import grouped, hard_form, links, soft_form

ATTENTION = torch.tensor(
    [
        [0.7, 0.1, 0.1, 0.1],
        [0.1, 0.3, 0.5, 0.1],
        [0.2, 0.2, 0.2, 0.4],
    ]
)
"""Of three tokens on three and the source's end."""


def test_a_word_is_aligned_with_what_it_looked_at_most_or_with_nothing() -> None:
    assert links(ATTENTION, None) == [(0, 0), (2, 1)]
    assert hard_form(links(ATTENTION, None)) == "0-0 2-1"


def test_a_threshold_takes_all_that_have_as_much() -> None:
    assert links(ATTENTION, 0.3) == [(0, 0), (1, 1), (2, 1)]
    assert links(ATTENTION, 0.9) == []


def test_a_soft_alignment_has_a_weight_for_each_word_and_for_the_end() -> None:
    assert soft_form(ATTENTION[:2]) == "0.7000,0.1000,0.1000,0.1000 0.1000,0.3000,0.5000,0.1000"


def test_words_look_where_their_tokens_look_on_average_and_are_looked_at_in_sum() -> None:
    """Source words: tokens 0, 1 and token 2.  Target words: token 0 and tokens 1, 2.

    The second looks at the first with ((.1 + .3) + (.2 + .2)) / 2 = .4, at the second with (.5 + .2) / 2 = .35, and at the
    end with (.1 + .4) / 2 = .25.
    """
    found = grouped(ATTENTION, [0, 2], [0, 1])
    assert found.flatten().tolist() == pytest.approx([0.8, 0.1, 0.1, 0.4, 0.35, 0.25])
    assert found.sum(dim=1).tolist() == pytest.approx([1, 1])


def test_white_space_before_the_first_word_is_part_of_it() -> None:
    assert grouped(ATTENTION, [1], [1]).flatten().tolist() == pytest.approx([0.8, 0.2])


def test_nothing_is_aligned_with_nothing() -> None:
    assert grouped(torch.empty(0, 4), [0, 1, 2], []).shape == (0, 4)
    assert links(torch.empty(0, 4), None) == links(torch.empty(0, 4), 0.5) == []
    assert hard_form([]) == soft_form(torch.empty(0, 4)) == ""
