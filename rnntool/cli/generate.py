"""`rnntool generate`: from a model, and beginnings if there are any, to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnntool.cli import compute, models, options, report
from rnntool.errors import ModelError, OptionError

if TYPE_CHECKING:
    from rnntool.models.network import Network
    from rnntool.search.continuation import Continuation
    from rnntool.search.drawing import Bend
    from rnntool.search.predictor import Predictor
    from rnntool.search.stride import Strider
    from rnntool.text.vocabulary import Vocabulary

PROMPTS_TOGETHER = 1024
"""Prompts of a file that are taken at once; those of a pipe are taken as they come."""

DRAWN, FOUND = "Drawing", "Searching"


@options.command("generate")
@options.model()
@options.option("-n", "--samples", type=options.Whole(1), metavar="N", default=1, help="Lines for each prompt.")
@options.option(
    "--max-tokens", type=options.Whole(1), metavar="N", default=1000, help="Cut a line after N generated tokens."
)
@options.option("--no-unk", is_flag=True, help="Never generate <unk>.")
@options.option("--scores", is_flag=True, help="Write log-probability, tab, text.")
@options.json
@options.under(
    DRAWN,
    options.temperature("Below 1 likelier text, above 1 wilder; 0: the likeliest word."),
    options.top_k,
    options.top_p,
)
@options.option(
    "--words",
    section=DRAWN,
    type=options.Whole(1),
    metavar="N",
    help="One running text of N tokens, line after line.",
)
@options.under(DRAWN, models.context, options.seed(1))
@options.option(
    "--beam",
    section=FOUND,
    type=options.Whole(1, 1000),
    metavar="K",
    help="Search for the likeliest lines, K side by side.",
)
@options.batch_size(32)
@options.search_precision
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@options.optional_text
def command(
    model: tuple[options.Model, ...],
    samples: int,
    max_tokens: int,
    no_unk: bool,
    scores: bool,
    json: bool,
    temperature: float,
    top_k: int | None,
    top_p: float,
    words: int | None,
    context: str | None,
    seed: int,
    beam: int | None,
    batch_size: int,
    precision: str,
    device: str,
    threads: int | None,
    text: tuple[str, ...],
) -> None:
    """Generate text from a language model.

    Writes N lines from nothing or, for each line of TEXT, a prompt, N lines that begin with it; every line begins anew, and
    </s> ends it.  TEXT - is the standard input.  The same seed gives the same text whatever the batch size and device.
    Several -m are mixed linearly.

    Examples:
      rnntool generate -m run -n 5 --temperature 0.8
      echo 'the company said' | rnntool generate -m run --beam 10 --no-unk -
    """
    _check(samples, scores, json, temperature, top_k, top_p, words, beam, text)
    opened = models.open_models(model, threads=threads, device=device, context=context)
    if opened.device is None:  # n-grams alone
        compute.prepare(threads, "cpu")
    from rnntool.ngram.forest import Forest
    from rnntool.ngram.model import NgramModel
    from rnntool.search.drawing import Bend
    from rnntool.search.ngram import NgramPart
    from rnntool.search.predictor import Predictor

    vocabulary = opened.scorer.vocabulary
    parts: list[Network | NgramPart] = []
    for named, each in zip(model, opened.models, strict=True):
        if isinstance(each, Forest):
            what = "a random forest, which scores lines and does not continue them"
            raise ModelError(named.path, what, "rnntool score")
        parts.append(NgramPart(each, vocabulary) if isinstance(each, NgramModel) else each.network)
    predictor = Predictor(parts, opened.shares, eos_id=vocabulary.eos_id, precision=precision)
    bend = Bend(vocabulary.unwritable(no_unk=no_unk), temperature, top_k or 0, top_p)
    record = _scored if scores else _as_json if json else _plain
    task = _Task(predictor, vocabulary, bend, samples, max_tokens, beam, batch_size, seed)
    if words is not None:
        answers = task.stream(words, carry=opened.scorer.context == "carry")
    else:
        answers = task.answers(_prompts(text) if text else [[""]])
    with report.output() as out:
        for answer in answers:
            out.write(record(answer) + "\n")
            out.flush()


def _check(
    samples: int,
    scores: bool,
    json: bool,
    temperature: float,
    top_k: int | None,
    top_p: float,
    words: int | None,
    beam: int | None,
    text: tuple[str, ...],
) -> None:
    """Refuse options that contradict each other."""
    if scores and json:
        raise OptionError("--scores", "is part of --json; leave out one of them")
    if beam is not None:
        bent = {"--temperature": temperature != 1, "--top-k": top_k, "--top-p": top_p < 1, "--words": words}
        for option, is_given in bent.items():
            if is_given:
                raise OptionError(option, "is for drawing; --beam searches")
        if samples > beam:
            raise OptionError("--samples", f"{samples} lines, and --beam {beam} keeps no more than {beam}")
    if words is not None and samples > 1:
        raise OptionError("--words", f"is one running text; --samples asks for {samples}")
    if words is not None and text:
        raise OptionError("--words", "is one running text; it takes no prompts")


def _prompts(text: tuple[str, ...]) -> Iterator[list[str]]:
    """The lines of all texts in groups: those of a pipe as they come, so that each is answered before the next."""
    from rnntool.text.files import arriving_from, read_lines

    lines = (line for path in text for line in read_lines(path))
    return arriving_from(text, lines, PROMPTS_TOGETHER)


# --- answers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Answer:
    """A line that was generated."""

    prompt: int
    sample: int
    text: str
    continuation: Continuation


@dataclass(frozen=True)
class _Task:
    """What is to be generated, and how."""

    predictor: Predictor
    vocabulary: Vocabulary
    bend: Bend
    samples: int
    max_tokens: int
    beam: int | None
    batch_size: int
    seed: int

    def answers(self, groups: Iterable[list[str]]) -> Iterator[_Answer]:
        """Lines for every prompt, in order."""
        first = 0
        strider = self._strider(self.batch_size)
        for prompts in groups:
            ids = [self.vocabulary.encode(prompt) for prompt in prompts]
            continuations = self._drawn(strider, ids, first) if self.beam is None else self._found(ids, self.beam)
            for place, continuation in enumerate(continuations):
                number, sample = divmod(place, self.samples)
                text = self._joined(prompts[number], ids[number], continuation)
                yield _Answer(first + number, sample, text, continuation)
            first += len(prompts)

    def stream(self, num_tokens: int, *, carry: bool) -> Iterator[_Answer]:
        """The lines of one running text."""
        from rnntool.search.sampling import sample_stream

        lines = sample_stream(self._strider(1), num_tokens=num_tokens, carry=carry, seed=self.seed)
        for number, line in enumerate(lines):
            yield _Answer(0, number, self.vocabulary.decode(line.ids), line)

    def _strider(self, batch_size: int) -> Strider:
        from rnntool.search.stride import Strider

        return Strider(self.predictor, self.bend, batch_size=batch_size)

    def _drawn(self, strider: Strider, prompts: list[list[int]], first: int) -> Iterator[Continuation]:
        from rnntool.search.sampling import Wish, sample_lines

        def wishes() -> Iterator[Wish]:
            for number, ids in enumerate(prompts, first):
                prefix = self.predictor.begin(ids)
                for sample in range(self.samples):
                    yield Wish(prefix, number, sample)

        return sample_lines(strider, wishes(), max_tokens=self.max_tokens, seed=self.seed)

    def _found(self, prompts: list[list[int]], beam_size: int) -> Iterator[Continuation]:
        from rnntool.search.beam import beam_search
        from rnntool.search.predictor import together

        size = max(1, self.batch_size // beam_size)
        for start in range(0, len(prompts), size):
            best = beam_search(
                self.predictor,
                together([self.predictor.begin(ids) for ids in prompts[start : start + size]]),
                beam_size=beam_size,
                num_best=self.samples,
                max_tokens=self.max_tokens,
                banned=self.bend.banned,
            )
            for continuations in best:
                yield from continuations

    def _joined(self, prompt: str, ids: list[int], continuation: Continuation) -> str:
        """The prompt as its unit spells it, words that are not in the vocabulary too, and what follows."""
        vocabulary = self.vocabulary
        whole = vocabulary.decode([*ids, *continuation.ids])
        return vocabulary.join(vocabulary.pieces(prompt)) + whole[len(vocabulary.decode(ids)) :]


_Record = Callable[[_Answer], str]


def _plain(answer: _Answer) -> str:
    return answer.text


def _scored(answer: _Answer) -> str:
    return f"{answer.continuation.logprob:.6f}\t{answer.text}"


def _as_json(answer: _Answer) -> str:
    continuation = answer.continuation
    record = {
        "prompt": answer.prompt + 1,
        "sample": answer.sample + 1,
        "logprob": continuation.logprob,
        "tokens": continuation.num_tokens,
        "ended": continuation.has_ended,
        "text": answer.text,
    }
    return json.dumps(record, ensure_ascii=False)
