"""Output layers by name."""

from __future__ import annotations

import pytest

from rnntool.config.output import FORMS, Output, Words, choose_cuts, parse_output, settle_output
from rnntool.errors import OptionError

KNOWN = ", ".join(FORMS)


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("auto", ()),
        ("full", ()),
        ("adaptive", ()),
        ("adaptive:200", (200,)),
        ("adaptive:2k,10k", (2000, 10_000)),
        ("adaptive:500,2.5k", (500, 2500)),
        ("tree", ()),
        ("dsoftmax:10,20", (10, 20)),
    ],
)
def test_names_and_numbers_are_read(text: str, cuts: tuple[int, ...]) -> None:
    output = parse_output(text)
    assert output == Output(text.split(":")[0], cuts)
    assert parse_output(str(output)) == output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fool", f"--output: unknown output layer 'fool'; known are {KNOWN}"),
        ("", f"--output: unknown output layer ''; known are {KNOWN}"),
        ("auto:2", "--output: 'auto:2' is not of the form auto"),
        ("full:2", "--output: 'full:2' is not of the form full"),
        ("adaptive:", "--output: 'adaptive:' is not of the form adaptive:CUT,CUT…"),
        ("adaptive:2,x", "--output: 'adaptive:2,x' is not of the form adaptive:CUT,CUT…"),
        ("adaptive:1.5", "--output: 'adaptive:1.5' is not of the form adaptive:CUT,CUT…"),
        ("adaptive:0", "--output: the cuts of 'adaptive:0' do not rise from at least 1"),
        ("class:0", "--output: 'class:0' is not of the form class:C, C at least 1"),
        ("class:3,4", "--output: 'class:3,4' is not of the form class:C, C at least 1"),
        ("class:x", "--output: 'class:x' is not of the form class:C"),
        ("nce:1.5", "--output: 'nce:1.5' is not of the form nce:K"),
        ("tree:2", "--output: 'tree:2' is not of the form tree"),
        ("selfnorm:0", "--output: 'selfnorm:0' is not of the form selfnorm:A, A above 0"),
        ("selfnorm:inf", "--output: 'selfnorm:inf' is not of the form selfnorm:A, A above 0"),
        ("selfnorm:x", "--output: 'selfnorm:x' is not of the form selfnorm:A, A above 0"),
        ("adaptive:20,10", "--output: the cuts of 'adaptive:20,10' do not rise from at least 1"),
        ("adaptive:20,20", "--output: the cuts of 'adaptive:20,20' do not rise from at least 1"),
    ],
)
def test_anything_else_is_an_error_that_says_what_is_known(text: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        parse_output(text)
    assert str(error.value) == message


def test_cuts_follow_the_counts() -> None:
    """80 % of 100 tokens are reached with the second word, 94 % with the fourth."""
    assert choose_cuts([60, 20, 10, 4, 3, 2, 1]) == (2, 4)


def test_without_counts_word_r_is_taken_to_occur_once_in_r() -> None:
    """Σ 1/r over 1000 words is 7.485; 0.8 and 0.94 of it, 5.988 and 7.036, are passed at words 224 and 639."""
    assert choose_cuts([0] * 1000) == (224, 639)


@pytest.mark.parametrize("counts", [[5, 5], [100, 1, 1], [7] * 5])
def test_a_small_vocabulary_keeps_a_word_in_its_last_group(counts: list[int]) -> None:
    cuts = choose_cuts(counts)
    assert 1 <= cuts[0] <= cuts[-1] < len(counts)


def test_cuts_are_settled_by_the_vocabulary_and_must_fit_it() -> None:
    counts = [60, 20, 10, 4, 3, 2, 1]
    assert settle_output(Output("full"), Words(counts)) == Output("full")
    assert settle_output(Output("adaptive"), Words(counts)) == Output("adaptive", (2, 4))
    assert settle_output(Output("adaptive", (6,)), Words(counts)) == Output("adaptive", (6,))
    with pytest.raises(OptionError) as error:
        settle_output(Output("adaptive", (2, 7)), Words(counts))
    assert str(error.value) == "--output: a cut at 7 is not below 7, the size of the vocabulary"


def test_auto_is_adaptive_for_many_words_that_are_sorted() -> None:
    """Specials at the front may be out of order; words whose counts are unknown are taken as sorted."""
    falling = [10_000 - rank for rank in range(5000)]
    assert settle_output(Output("auto"), Words(falling[:4999])) == Output("full")
    assert settle_output(Output("auto"), Words(falling)).kind == "adaptive"
    assert settle_output(Output("auto"), Words([0, 1, *falling])).kind == "adaptive"
    assert settle_output(Output("auto"), Words([0] * 5000)).kind == "adaptive"
    assert settle_output(Output("auto"), Words(falling[::-1])) == Output("full")


@pytest.mark.parametrize("output", [Output("auto"), Output("adaptive")])
def test_nothing_is_built_from_what_is_not_settled(output: Output) -> None:
    with pytest.raises(OptionError) as error:
        output.check(100)
    assert str(error.value) == f"--output: '{output}' is not settled: it depends on a vocabulary"


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("class:12", Output("class", size=12)),
        ("sampled:1k", Output("sampled", size=1000)),
        ("target:20", Output("target", size=20)),
        ("nce:25", Output("nce", size=25)),
        ("selfnorm:0.05", Output("selfnorm", penalty=0.05)),
    ],
)
def test_one_number_is_read(text: str, output: Output) -> None:
    assert parse_output(text) == output
    assert parse_output(str(output)) == output


def test_open_numbers_are_chosen_by_the_words() -> None:
    """√100 classes, a tenth of the words drawn; classes that are there are taken as they are."""
    words = Words([1.0] * 100)
    chosen = {
        kind: settle_output(Output(kind), words) for kind in FORMS if kind not in ("auto", "adaptive", "dsoftmax")
    }
    assert {kind: str(output) for kind, output in chosen.items()} == {
        "full": "full",
        "class": "class:10",
        "tree": "tree",
        "sampled": "sampled:10",
        "target": "target:10",
        "nce": "nce:10",
        "selfnorm": "selfnorm:0.1",
    }
    classed = Words([3.0, 2.0, 1.0], (0, 1, 1))
    assert settle_output(Output("class"), classed) == settle_output(Output("class", size=2), classed)
    with pytest.raises(OptionError) as error:
        settle_output(Output("class", size=3), classed)
    assert str(error.value) == "--output: 3 classes are asked for, the vocabulary has 2"
    with pytest.raises(OptionError) as error:
        settle_output(Output("class", size=4), Words([1.0] * 3))
    assert str(error.value) == "--output: 4 classes for 3 words"
    with pytest.raises(OptionError) as error:
        settle_output(Output("tree"), Words([1.0]))
    assert str(error.value) == "--output: a tree has at least two words"
