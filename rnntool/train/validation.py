"""What the validation text says of a network: its perplexity, and what its translations are worth where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rnntool.checkpoint.model import Model
from rnntool.config.training import TrainingConfig
from rnntool.score.network import NetworkScorer
from rnntool.score.pairs import score_corpora
from rnntool.score.perplexity import Tally, score_ids
from rnntool.text.corpus import Corpus, CorpusSource
from rnntool.train.judge import Judge
from rnntool.train.progress import Observer, StopRequest


class Validation:
    """The validation of one run; given up where somebody wishes to stop.

    Args:
        model: the network, with its vocabulary.
        config: the run's settings.
        text: what is scored, as ids.
        source: what its lines are conditioned on; None for a language model.
        judge: what scores translations of the text; None where perplexity decides.
        observer: who is told how far it is.
        stop: who may ask for an end.
    """

    def __init__(
        self,
        model: Model,
        config: TrainingConfig,
        text: Corpus,
        source: Corpus | None,
        judge: Judge | None,
        *,
        observer: Observer,
        stop: StopRequest,
    ) -> None:
        self.model = model
        self.config = config
        self.text = text
        self.source = source
        self.judge = judge
        self._observer = observer
        self._stop = stop

    def tally(self) -> Tally:
        """The text under the network, exactly as `rnntool ppl` scores it, with the same `--unk`.

        Raises:
            GivenUp: somebody wishes to stop.
        """
        tally = self._whole_tally()
        return tally.without_oov() if self.config.unk == "skip" else tally

    def judged(self) -> dict[str, float]:
        """What its translations are worth, under the name that metrics.jsonl has for it; nothing without a judge.

        Raises:
            GivenUp: somebody wishes to stop.
        """
        if self.judge is None:
            return {}
        return {f"valid_{self.judge.metric}": self.judge.score(self.model.network, self._stop)}

    def facts(self, tally: Tally) -> dict[str, Any]:
        """A tally as model files name it."""
        return {
            "valid_ppl": tally.ppl,
            "valid_tokens": tally.tokens,
            "valid_sentences": tally.sentences,
            **({"valid_unk": self.config.unk} if self.config.unk != "count" else {}),
        }

    def _whole_tally(self) -> Tally:
        """The same, all words counted."""
        network, vocabulary = self.model.network, self.model.vocabulary
        if self.source is not None:
            return score_corpora(network, vocabulary.eos_id, self.source, self.text, before_batch=self._stop.heed)
        scorer = NetworkScorer(network, vocabulary, self.model.config.context, before_window=self._stop.heed)
        return sum((score_ids(scorer, self._told(source)) for source in self.text.sources), Tally())

    def _told(self, source: CorpusSource) -> Iterator[list[int]]:
        """The lines of one text, without `</s>`; the observer hears how far they are."""
        before = sum(each.num_lines for each in self.text.sources[: self.text.sources.index(source)])
        first = source.first_token
        for number, end in enumerate(self.text.ends_of(source), before + 1):
            yield self.text.ids[first : int(end) - 1].tolist()
            first = int(end)
            if number % 256 == 0:
                self._observer.validating(number / self.text.num_lines)
