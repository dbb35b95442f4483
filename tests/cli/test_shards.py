"""`--shard I/N`: the outputs of all parts, one after the other, are the output without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run


@pytest.mark.parametrize(
    "words",
    [
        "translate -m ende train.en",
        "translate -m ende --sample --seed 3 --prefix test.de test.en",
        "translate -m ende --n-best 2 test.en valid.en",
        "score -m trigram.arpa.gz -b 2 text.txt valid.txt",
        "score -m run -b 2 --context reset --tokens text.txt",
        "score -m ende -b 3 --src test.en test.de",
        "ppl -m run -b 1 --context reset --per-line text.txt valid.txt",
        "ppl -m trigram.arpa.gz -b 4 --per-line --json text.txt valid.txt",
    ],
)
def test_the_parts_of_an_output_follow_each_other(run: Run, toys: Path, words: str) -> None:
    whole = run(*words.split(), cwd=toys)
    assert whole.status == 0, whole.err
    parts = [run(*words.split(), "--shard", f"{number}/3", cwd=toys) for number in (1, 2, 3)]
    assert [part.status for part in parts] == [0, 0, 0]
    assert all(part.out for part in parts)
    assert "".join(part.out for part in parts) == whole.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("score -m run text.txt", "--shard: the model carries its context over line ends"),
        (
            "score -m run --context reset --cache order=1,weight=0.1 text.txt",
            "--shard: the model adapts to the lines before",
        ),
        ("ppl -m run --per-line text.txt", "--shard: the model carries its context over line ends"),
        ("ppl -m run text.txt", "--shard: the perplexity of a part says nothing about the whole"),
        ("score -m trigram.arpa.gz", "--shard: lines are counted first, and standard input can be read only once"),
        ("score -m trigram.arpa.gz --format moses test.nbest", "--shard: is for lines"),
    ],
)
def test_what_cannot_be_divided_is_refused(run: Run, toys: Path, words: str, said: str) -> None:
    done = run(*words.split(), "--shard", "1/2", cwd=toys)
    assert done.status == 2
    assert said in done.err


@pytest.mark.parametrize("command", [("score",), ("ppl", "--per-line")])
def test_lines_that_are_computed_together_are_so_in_parts(run: Run, toys: Path, command: tuple[str, ...]) -> None:
    """The last digits of float32 sums depend on what is computed beside them."""
    words = [*command, "--json", "-b", "4", "-m", "run", "--context", "reset", "valid.txt"]
    whole = run(*words, cwd=toys).out
    parts = [run(*words, "--shard", f"{number}/3", cwd=toys).out for number in (1, 2, 3)]
    assert [part.count("\n") % 4 for part in parts[:-1]] == [0, 0]
    assert "".join(parts) == whole


def test_one_more_source_is_noticed_by_the_last_part(run: Run, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "src").write_text("a\nb\nc\n")
    (tmp_path / "tgt").write_text("a\nb\n")
    words = ["score", "-m", toys / "ende", "--src", tmp_path / "src", tmp_path / "tgt", "--shard"]
    assert run(*words, "1/2").status == 0
    done = run(*words, "2/2")
    assert done.status == 1
    assert "more than 2 lines" in done.err
