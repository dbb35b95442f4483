"""`rnntool score`: a log-probability for every line, or for every token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnntool.cli import fields, judging, models, options, report
from rnntool.cli.adaptation import Wanted, adapt, takes_adaptation
from rnntool.errors import OptionError

if TYPE_CHECKING:
    from rnntool.score.perplexity import ScoredLine
    from rnntool.text.vocabulary import Vocabulary


@options.command("score")
@options.model()
@models.context
@options.option("--tokens", is_flag=True, help="One record for every token instead of every line.")
@options.option("--words", is_flag=True, help="The same for every word: the sum of its tokens.")
@models.unnormalized
@options.option("--normalize", is_flag=True, help="Divide by the number of tokens, </s> included.")
@judging.sources
@judging.form(None, help="TEXT are n-best lists: moses, srilm, rnnlm or kaldi.")
@options.batch_size(64)
@options.shard
@options.json
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@takes_adaptation
@options.text
def command(
    model: tuple[options.Model, ...],
    context: str | None,
    tokens: bool,
    words: bool,
    unnormalized: bool,
    normalize: bool,
    src: tuple[str, ...],
    format: str | None,
    adaptation: Wanted,
    batch_size: int,
    shard: str | None,
    json: bool,
    device: str,
    threads: int | None,
    text: tuple[str, ...],
) -> None:
    """Print the log-probability of each line of TEXT under a model.

    Line n of the output answers line n of TEXT, blank ones too, in natural logarithms, </s> included; with --src, given
    line n of its sources; with --format, hypothesis n.  With --tokens a record for each token: sentence, position, token,
    log-probability, flags (oov, eos), tab-separated.  The first answer is out before the input ends.  A language model may
    adapt to the text as it reads it; see rnntool man ppl.

    Examples:
      echo 'the cat sat' | rnntool score -m run
      rnntool score -m run text.txt | paste - text.txt | sort -g | head
      rnntool score -m runs/ende --src test.en test.de
    """
    if normalize and (tokens or words):
        unit = "token" if tokens else "word"
        raise OptionError("--normalize", f"a {unit}'s log-probability has no length; leave out --{unit}s")
    if format is not None and shard is not None:
        raise OptionError("--shard", "is for lines; leave out --format")
    wanted = options.lines_of(shard, text, batch_size)
    if src or format is not None:
        judging.check_inputs(text, src)
        _check_independent("--src" if src else "--format", context, adaptation)
        if unnormalized:
            raise OptionError("--unnormalized", f"is for lines of text; leave out {'--src' if src else '--format'}")
        judge = judging.open_judge(model, has_sources=bool(src), threads=threads, device=device, batch_size=batch_size)
        vocabulary = judge.vocabulary
        if format is None:
            answers = judging.judged_lines(judge, text, src, wanted, batch_size=batch_size)
        else:
            lists = judging.judged_lists(judge, text, src, format)
            answers = ([line for _, scored in group for line in scored] for group in lists)
    else:
        choices = adaptation.choices()
        opened = models.open_models(
            model, threads=threads, device=device, context=context, batch_size=batch_size, hint="--src FILE"
        )
        if unnormalized:
            scorer = models.unnormalize(opened, adapts=bool(choices.stages))
        else:
            scorer, _ = adapt(opened.scorer, choices, adaptation.fit)
        judging.are_independent(scorer, choices, shard)
        vocabulary = scorer.vocabulary
        answers = judging.scored_lines(scorer, text, wanted, batch_size=batch_size)
    number = wanted.first
    with report.output() as out:
        for scored in answers:
            for line in scored:
                number += 1
                if words:
                    out.write("".join(_word_records(number, line, vocabulary, as_json=json)))
                elif tokens:
                    out.write("".join(_token_records(number, line, vocabulary, as_json=json)))
                else:
                    out.write(_record(number, line, normalize=normalize, as_json=json))
            out.flush()


def _check_independent(which: str, context: str | None, adaptation: Wanted) -> None:
    """Refuse what would let a line depend on those before it."""
    names = ("dynamic", "temperature", "pointer", "cache", "fit")
    given = ["context"] * (context is not None) + [name for name in names if getattr(adaptation, name)]
    if given:
        raise OptionError(f"--{given[0]}", f"is for running text; with {which}, lines are independent of each other")


def _record(number: int, line: ScoredLine, *, normalize: bool, as_json: bool) -> str:
    """One line's answer."""
    logprob = float(line.log_probs.sum())
    value = logprob / len(line.log_probs) if normalize else logprob
    if not as_json:
        return f"{value:.6f}\n"
    key = "logprob_per_token" if normalize else "logprob"
    tokens, oov = len(line.log_probs), sum(line.is_oov)
    return fields.as_object({"sentence": number, key: value, "tokens": tokens, "oov": oov})


def _token_records(number: int, line: ScoredLine, vocabulary: Vocabulary, *, as_json: bool) -> Iterator[str]:
    """A record for each token of a line, then for its end."""
    pieces = vocabulary.pieces(line.text)
    spelled = [*(piece.replace("\t", "\\t") for piece in pieces), vocabulary.tokens[vocabulary.eos_id]]
    flags = [*("oov" if is_oov else "" for is_oov in line.is_oov), "eos"]
    for position, (token, logprob, flag) in enumerate(zip(spelled, line.log_probs, flags, strict=True), 1):
        yield fields.token_record(number, position, token, float(logprob), flag, as_json=as_json)


def _word_records(number: int, line: ScoredLine, vocabulary: Vocabulary, *, as_json: bool) -> Iterator[str]:
    """A record for each word of a line, then for its end."""
    from rnntool.score.words import words_of

    words = list(words_of(line, vocabulary))
    for position, word in enumerate(words, 1):
        flags = ["oov"] * word.is_oov + ["eos"] * (position == len(words))
        spelling = word.spelling.replace("\t", "\\t")
        yield fields.token_record(number, position, spelling, word.log_prob, " ".join(flags), as_json=as_json)
