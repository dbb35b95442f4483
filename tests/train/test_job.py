"""From what was asked for to a run that can begin."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch

from rnntool.checkpoint.model import load_model
from rnntool.checkpoint.settings import Settings, read_settings
from rnntool.config.network import NetworkConfig
from rnntool.config.training import TrainingConfig
from rnntool.data.lines import LineBatches
from rnntool.data.pairs import PairBatches
from rnntool.data.stream import StreamBatches
from rnntool.errors import InputError, ModelError, OptionError, TrainingError
from rnntool.score.network import NetworkScorer
from rnntool.score.perplexity import score_lines
from rnntool.train.job import Job, begin, build_batches, differences, load_network, open_run, open_texts
from tests.train.conftest import CPU, TRAIN, VALID, Sit, Texts


@pytest.fixture
def job(tmp_path: Path, texts: Texts) -> Job:
    for name, text in (("train.txt", TRAIN), ("valid.txt", VALID)):
        (tmp_path / name).write_text(text)
    (tmp_path / "words.tsv").write_bytes(texts.vocabulary.to_bytes())
    return Job(
        directory=str(tmp_path / "run"),
        texts=(str(tmp_path / "train.txt"),),
        valid=(str(tmp_path / "valid.txt"),),
        vocabulary=str(tmp_path / "words.tsv"),
        init=None,
        network=NetworkConfig("lstm:4"),
        fixed=(),
        training=TrainingConfig(),
        settings={"arch": "lstm:4", "lr": 0.003},
    )


def begun(job: Job) -> None:
    run = open_run(job, force=False)
    Path(run.config).write_text('arch = "lstm:4"\nlr = 0.003\n')
    run.release()


def test_a_run_with_other_settings_is_refused_with_both_values(job: Job) -> None:
    begun(job)
    other = dataclasses.replace(job, settings={"arch": "gru:4", "lr": 0.003, "tied": True})
    with pytest.raises(TrainingError) as refused:
        open_run(other, force=False)
    assert refused.value.what == ("holds another run: --arch was lstm:4, is gru:4; --tied was False, is True")
    open_run(job, force=False).release()


def test_force_begins_again_in_its_place(job: Job) -> None:
    begun(job)
    other = dataclasses.replace(job, settings={"arch": "gru:4"})
    run = open_run(other, force=True)
    assert run.has_run  # until the texts of the next have been read
    Path(run.best).touch()
    begin(other, run, force=True)
    assert sorted(os.listdir(job.directory)) == ["config.toml", "lock"]
    assert read_settings(run.config) == {"arch": "gru:4"}
    run.release()


def test_a_run_of_an_older_version_is_the_same_run() -> None:
    """A setting that it did not know was as it is by default."""
    old: Settings = {"arch": "gru:4"}
    assert differences(old, {"arch": "gru:4", "scheduled-sampling": 0.0, "metric": "ppl"}) == []
    assert differences(old, {"arch": "gru:4", "scheduled-sampling": 0.1}) == ["--scheduled-sampling was 0.0, is 0.1"]


def test_the_same_seed_begins_with_the_same_weights(job: Job) -> None:
    one, same = load_network(job), load_network(job)
    other = load_network(dataclasses.replace(job, training=TrainingConfig(seed=2)))
    assert torch.equal(one.network.embedding, same.network.embedding)
    assert not torch.equal(one.network.embedding, other.network.embedding)


def test_matrices_may_begin_evenly_in_a_range(job: Job) -> None:
    """All of them, and nothing else: biases begin as they do without."""
    usual = dict(load_network(job).network.named_parameters())
    drawn = load_network(dataclasses.replace(job, training=TrainingConfig(init_range=0.3))).network
    for name, weight in drawn.named_parameters():
        if weight.dim() < 2:
            assert torch.equal(weight, usual[name])
        else:
            assert weight.detach().abs().max() < 0.3
            assert float(weight.detach().std()) == pytest.approx(0.3 / 3**0.5, rel=0.2)


def test_a_run_begins_from_a_model_with_its_network_and_vocabulary(job: Job, sit: Sit) -> None:
    trained = sit("gru:4")
    trained.train()
    for init in (trained.run.best, trained.run.path):
        begin = load_network(dataclasses.replace(job, init=init, vocabulary=None))
        assert begin.config == NetworkConfig("gru:4")
        best = load_model(trained.run.best)
        assert begin.vocabulary == best.vocabulary
        assert all(
            torch.equal(p, q) for p, q in zip(begin.network.parameters(), best.network.parameters(), strict=True)
        )


def test_a_model_of_another_vocabulary_is_refused(job: Job, sit: Sit, tmp_path: Path) -> None:
    trained = sit()
    trained.train()
    (tmp_path / "other.tsv").write_text("<unk>\t0\n</s>\t1\ncow\t1\n")
    with pytest.raises(ModelError, match=r"its vocabulary is [0-9a-f]{6}, not that of "):
        load_network(dataclasses.replace(job, init=trained.run.best, vocabulary=str(tmp_path / "other.tsv")))


def test_what_is_asked_for_by_name_must_be_what_the_model_is(job: Job, sit: Sit) -> None:
    trained = sit("gru:4")
    trained.train()
    begun = dataclasses.replace(job, init=trained.run.best, vocabulary=None)
    assert load_network(dataclasses.replace(begun, fixed=("context",))).config.arch == "gru:4"
    with pytest.raises(OptionError) as refused:
        load_network(dataclasses.replace(begun, fixed=("context", "arch")))
    assert str(refused.value) == f"--arch: lstm:4 is asked for, {trained.run.best} has gru:4"


def test_without_a_vocabulary_nothing_begins(job: Job) -> None:
    with pytest.raises(OptionError) as refused:
        load_network(dataclasses.replace(job, vocabulary=None))
    assert str(refused.value) == "--vocab: a vocabulary is needed"


def test_texts_are_read_once_and_again_when_they_change(job: Job, texts: Texts) -> None:
    run = open_run(job, force=False)
    model = load_network(job)
    found = open_texts(job, model, run)
    train, valid = found.train, found.valid
    assert train.ids.tolist() == texts.train.ids.tolist()
    assert valid.ids.tolist() == texts.valid.ids.tolist()
    stamp = os.stat(f"{train.directory}/ids.bin").st_ino
    open_texts(job, model, run)
    assert os.stat(f"{train.directory}/ids.bin").st_ino == stamp
    Path(job.texts[0]).write_text(TRAIN + "the end\n")
    again = open_texts(job, model, run).train
    assert again.num_lines == train.num_lines + 1
    weighted = dataclasses.replace(job, texts=(job.texts[0] + "@2",))
    assert open_texts(weighted, model, run).train.sources[0].weight == 2
    run.release()


def test_a_part_is_held_out_where_no_validation_text_is_named(job: Job, texts: Texts) -> None:
    run = open_run(job, force=False)
    held = dataclasses.replace(job, valid=(), training=TrainingConfig(hold_out=0.2))
    found = open_texts(held, load_network(held), run)
    assert (found.train.num_lines, found.valid.num_lines) == (14, 4)
    run.release()


def test_an_empty_text_is_no_run(job: Job, texts: Texts) -> None:
    Path(job.texts[0]).write_text("")
    run = open_run(job, force=False)
    with pytest.raises(InputError, match="no tokens"):
        open_texts(job, load_network(job), run)
    run.release()


def paired(job: Job, source: str) -> Job:
    """The job on pairs, with this text as the source of the training and of the validation."""
    folder = Path(job.directory).parent
    (folder / "source.txt").write_text(source)
    (folder / "valid-source.txt").write_text(VALID)
    network = NetworkConfig("gru:4", encoder="bi-gru:3", link="attention", context="reset")
    sources, valid_sources = (str(folder / "source.txt"),), (str(folder / "valid-source.txt"),)
    return dataclasses.replace(job, network=network, sources=sources, valid_sources=valid_sources)


def test_pairs_have_a_source_for_every_line(job: Job) -> None:
    pairs = paired(job, TRAIN)
    run = open_run(pairs, force=False)
    model = load_network(pairs)
    found = open_texts(pairs, model, run)
    assert found.train_source is not None and found.valid_source is not None
    assert found.train_source.num_lines == found.train.num_lines
    batches = build_batches(TrainingConfig(), "reset", found.train, 1, CPU, found.train_source)
    assert isinstance(batches, PairBatches)
    run.release()


def test_a_source_of_another_number_of_lines_is_refused_with_both(job: Job) -> None:
    pairs = paired(job, TRAIN + "one more\n")
    run = open_run(pairs, force=False)
    with pytest.raises(InputError) as refused:
        open_texts(pairs, load_network(pairs), run)
    assert refused.value.what == f"19 lines, and {job.texts[0]} has 18; line n answers line n"
    run.release()


def test_one_embedding_is_for_one_vocabulary(job: Job) -> None:
    pairs = paired(job, TRAIN)
    other = Path(job.directory).parent / "other.tsv"
    other.write_text("<unk>\n</s>\nthe\n")
    pairs = dataclasses.replace(
        pairs, network=dataclasses.replace(pairs.network, tied_source=True), source_vocabulary=str(other)
    )
    with pytest.raises(OptionError, match="source and target have vocabularies of their own"):
        load_network(pairs)


@pytest.mark.parametrize(
    ("context", "shuffle", "kind", "shuffled"),
    [
        ("carry", None, StreamBatches, False),
        ("carry", True, StreamBatches, True),
        ("reset", None, LineBatches, True),
        ("reset", False, LineBatches, False),
    ],
)
def test_lines_are_shuffled_where_the_context_is_reset_unless_it_is_said(
    context: str, shuffle: bool | None, kind: type, shuffled: bool, texts: Texts
) -> None:
    batches = build_batches(TrainingConfig(shuffle=shuffle), context, texts.train, 1, CPU)
    assert isinstance(batches, kind)
    assert batches.shuffle == shuffled  # type: ignore[attr-defined]


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_a_validation_is_what_ppl_says_of_the_text(context: str, sit: Sit) -> None:
    trainer = sit(context=context, max_epochs=1)
    trainer.train()
    model = load_model(trainer.run.best)
    lines = VALID.split("\n")[:-1]
    scored = score_lines(NetworkScorer(model.network, model.vocabulary, context), [lines])
    tally = [line.tally() for group in scored for line in group]
    nll = sum(each.nll for each in tally) / sum(each.tokens for each in tally)
    record = trainer.observer.records[-1]  # type: ignore[attr-defined]
    assert nll == record["valid_nll"]
    assert model.metrics["valid_ppl"] == record["valid_ppl"]
