"""Search for the likeliest continuations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
import torch

from rnntool.search.beam import beam_search
from rnntool.search.continuation import Continuation
from rnntool.search.drawing import Bend
from rnntool.search.predictor import Predictor, Prefixes, together
from rnntool.search.sampling import Wish, sample_lines
from rnntool.search.stride import Strider
from tests.search.conftest import EOS, network, predictor

PROMPTS = [[], [3], [4, 5], [3, 3, 3], [6]]


def search(model: Predictor, *, beam_size: int, num_best: int = 1, max_tokens: int = 10) -> list[list[Continuation]]:
    starts = together([model.begin(ids) for ids in PROMPTS])
    return beam_search(model, starts, beam_size=beam_size, num_best=num_best, max_tokens=max_tokens)


def everything(model: Predictor, prefix: Prefixes, *, max_tokens: int) -> list[Continuation]:
    """All continuations there are, the likeliest first, by trying every one."""
    words = [id_ for id_ in range(model.vocab_size) if id_ != EOS]
    found = []
    for length in range(max_tokens + 1):
        for ids in product(words, repeat=length):
            logprob, prefixes = 0.0, prefix
            for id_ in (*ids, EOS):
                log_probs, state = model.step(prefixes)
                is_cut = id_ == EOS and length == max_tokens
                logprob += 0.0 if is_cut else float(log_probs[0, id_])
                prefixes = Prefixes(torch.tensor([id_]), state)
            found.append(Continuation(ids, logprob, has_ended=length < max_tokens))
    return sorted(found, key=lambda each: -each.logprob)


def test_a_wide_beam_finds_what_trying_everything_finds() -> None:
    model = predictor(network("gru:3", vocab_size=4))
    (found,) = beam_search(model, model.begin([2]), beam_size=40, num_best=12, max_tokens=3)
    expected = everything(model, model.begin([2]), max_tokens=3)[:12]
    assert [each.ids for each in found] == [each.ids for each in expected]
    assert [each.has_ended for each in found] == [each.has_ended for each in expected]
    assert [each.logprob for each in found] == pytest.approx([each.logprob for each in expected], rel=1e-12)


def test_a_beam_of_one_takes_the_likeliest_word_each_time() -> None:
    model = predictor()
    greedy = sample_lines(
        Strider(model, Bend(temperature=0), batch_size=3),
        (Wish(model.begin(ids), number, 0) for number, ids in enumerate(PROMPTS)),
        max_tokens=10,
        seed=1,
    )
    for (found,), line in zip(search(model, beam_size=1), greedy, strict=True):
        assert (found.ids, found.has_ended) == (line.ids, line.has_ended)
        assert found.logprob == pytest.approx(line.logprob, rel=1e-12)


def test_a_prompts_answer_does_not_depend_on_its_neighbours() -> None:
    model = predictor(network(vocab_size=100))
    for ids, together_with_others in zip(PROMPTS, search(model, beam_size=4, num_best=3), strict=True):
        (alone,) = beam_search(model, model.begin(ids), beam_size=4, num_best=3, max_tokens=10)
        assert [each.ids for each in alone] == [each.ids for each in together_with_others]


def test_the_best_come_first_and_are_all_different() -> None:
    for found in search(predictor(), beam_size=6, num_best=6):
        assert len(found) == 6
        assert [each.logprob for each in found] == sorted((each.logprob for each in found), reverse=True)
        assert len({(each.ids, each.has_ended) for each in found}) == 6


def test_asking_for_fewer_gives_the_same_best_one() -> None:
    model = predictor()
    all_of_them, first = search(model, beam_size=5, num_best=5), search(model, beam_size=5)
    assert [found[0].ids for found in all_of_them] == [found.ids for (found,) in first]


def test_log_probabilities_are_those_of_the_words() -> None:
    model = predictor()
    for ids, found in zip(PROMPTS, search(model, beam_size=3, num_best=3), strict=True):
        for each in found:
            prefixes, total = model.begin(ids), 0.0
            for word in (*each.ids, *([EOS] if each.has_ended else [])):
                log_probs, state = model.step(prefixes)
                total += float(log_probs[0, word])
                prefixes = Prefixes(torch.tensor([word]), state)
            assert each.logprob == pytest.approx(total, rel=1e-12)


class Patient(Predictor):
    """Lines of so many words 2, which may begin otherwise, and at each place but the first end by mistake."""

    TABLE = torch.tensor(
        [[0.01, 0.0001, 0.9799, 0.01], [0.0001, 0.0005, 0.9993, 0.0001], [0.0001, 0.9993, 0.0005, 0.0001]]
    ).log()

    def __init__(self, length: int) -> None:
        super().__init__([network(vocab_size=4)], (1.0,), eos_id=EOS)
        self._length = length

    def begin(self, ids: Sequence[int]) -> Prefixes:
        return Prefixes(torch.tensor([EOS]), (torch.tensor([len(ids)]),))

    def step(self, prefixes: Prefixes) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        (place,) = prefixes.state
        return self.TABLE[(place > 0).long() + (place >= self._length)], (place + 1,)


@pytest.mark.parametrize("beam_size", [1, 2, 3])
def test_where_lengths_count_unlikely_ends_do_not_end_a_search(beam_size: int) -> None:
    """`</s>` is the second likeliest word at every place, and among the K best of all steps at the last one alone."""
    model = Patient(length=9)
    ((found,),) = beam_search(
        model, model.begin([]), beam_size=beam_size, num_best=1, max_tokens=20, length_penalty=1.0
    )
    assert (found.ids, found.has_ended) == ((2,) * 9, True)


def test_banned_words_do_not_occur() -> None:
    model = predictor()
    starts = together([model.begin(ids) for ids in PROMPTS])
    for found in beam_search(model, starts, beam_size=4, num_best=4, max_tokens=6, banned=(0, 5)):
        assert not {0, 5} & {word for each in found for word in each.ids}


def test_where_nothing_may_follow_the_search_ends() -> None:
    """Two words, one of them banned: the line can only end."""
    model = predictor(network("elman:3", vocab_size=2))
    (found,) = beam_search(model, model.begin([]), beam_size=3, num_best=2, max_tokens=5, banned=(0,))
    assert [(each.ids, each.has_ended) for each in found] == [((), True)]
