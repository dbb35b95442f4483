"""`rnntool score`: a log-probability for every line, or for every token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnntool.cli import models, options, report
from rnntool.errors import OptionError

if TYPE_CHECKING:
    from rnntool.score.perplexity import ScoredLine
    from rnntool.text.vocabulary import Vocabulary


@options.command("score")
@options.model()
@models.context
@options.option("--tokens", is_flag=True, help="One record for every token instead of every line.")
@options.option("--normalize", is_flag=True, help="Divide by the number of tokens, </s> included.")
@options.batch_size(64)
@options.json
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@options.text
def command(
    model: tuple[options.Model, ...],
    context: str | None,
    tokens: bool,
    normalize: bool,
    batch_size: int,
    json: bool,
    device: str,
    threads: int | None,
    text: tuple[str, ...],
) -> None:
    """Print the log-probability of each line of TEXT under a language model.

    Line n of the output answers line n of TEXT, blank ones too, in natural logarithms, </s> included.  With --tokens a
    record for each token: sentence, position, token, log-probability, flags (oov, eos), tab-separated.  The first answer
    is out before the input ends.

    Examples:
      echo 'the cat sat' | rnntool score -m run
      rnntool score -m run text.txt | paste - text.txt | sort -g | head
    """
    if tokens and normalize:
        raise OptionError("--normalize", "a token's log-probability has no length; leave out --tokens")
    opened = models.open_models(model, threads=threads, device=device, context=context, batch_size=batch_size)
    from rnntool.score.perplexity import score_lines
    from rnntool.text.files import arriving, is_regular, read_lines

    def lines() -> Iterator[str]:
        for path in text:
            yield from read_lines(path)

    # A pipe's lines are answered as they come; a file's are not waited for, and always grouped alike.
    groups = arriving(lines(), batch_size, wait=all(is_regular(path) for path in text))
    number = 0
    with report.output() as out:
        for scored in score_lines(opened.scorer, groups):
            for line in scored:
                number += 1
                if tokens:
                    out.write("".join(_token_records(number, line, opened.scorer.vocabulary, as_json=json)))
                else:
                    out.write(_record(number, line, normalize=normalize, as_json=json))
            out.flush()


def _record(number: int, line: ScoredLine, *, normalize: bool, as_json: bool) -> str:
    """One line's answer."""
    logprob = float(line.log_probs.sum())
    value = logprob / len(line.log_probs) if normalize else logprob
    if not as_json:
        return f"{value:.6f}\n"
    key = "logprob_per_token" if normalize else "logprob"
    return json.dumps({"sentence": number, key: value, "tokens": len(line.log_probs), "oov": sum(line.is_oov)}) + "\n"


def _token_records(number: int, line: ScoredLine, vocabulary: Vocabulary, *, as_json: bool) -> Iterator[str]:
    """A record for each token of a line, then for its end."""
    pieces = vocabulary.pieces(line.text)
    spelled = [*(piece.replace("\t", "\\t") for piece in pieces), vocabulary.tokens[vocabulary.eos_id]]
    flags = [*("oov" if is_oov else "" for is_oov in line.is_oov), "eos"]
    for position, (token, logprob, flag) in enumerate(zip(spelled, line.log_probs, flags, strict=True), 1):
        if as_json:
            record = {
                "sentence": number,
                "position": position,
                "token": token,
                "logprob": float(logprob),
                "flags": flag,
            }
            yield json.dumps(record, ensure_ascii=False) + "\n"
        else:
            yield f"{number}\t{position}\t{token}\t{logprob:.6f}\t{flag}\n"
