"""What is measured, each as a function from a workload to records.

A record is a flat dict that JSON holds: case, what did it (`rnntool` or a baseline), shape, times, rates, and how they
compare.  `seconds` are for one step, or one token where text is written.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import torch

from rnntool import __version__
from rnntool.bench import ceiling
from rnntool.bench.gate import LIMITS, gradient_error
from rnntool.bench.stock import StockModel, StockTrainer, StockWriter, descend
from rnntool.bench.stock_pairs import StockTranslator
from rnntool.bench.timing import Timing, clock_name, take_turns
from rnntool.bench.workload import Workload
from rnntool.errors import TrainingError
from rnntool.nn.output.fused import BLOCK_BYTES
from rnntool.nn.precision import has_bf16, largest_int8
from rnntool.search.beam import beam_search
from rnntool.search.drawing import Bend, uniform_each
from rnntool.search.predictor import Predictor
from rnntool.search.sampling import sample_stream
from rnntool.search.stride import Strider
from rnntool.search.translator import Translator
from rnntool.train.optimizer import build_optimizer, measure_gradients, plan_rows, takes_rows
from rnntool.train.recording import WARM_UP, build_recorder, working_stream
from rnntool.train.spending import expect
from rnntool.train.step import backward, noise_of

Record = dict[str, Any]

EOS = 1
"""The word that ends a line in the random texts."""

LEARNING_RATE = 1e-4

BEAM = 5
"""Hypotheses that `translate` keeps."""

STREAMS = 64
"""Texts that `batch` writes side by side."""


def train(workload: Workload, device: torch.device, dtype: torch.dtype, rounds: int) -> Iterator[Record]:
    """Whole training steps, ours and stock torch's; and the share of ours that clipping and update take."""
    error = gradient_error(workload, device, dtype)
    if not error <= LIMITS[dtype]:
        raise TrainingError("", f"gradients are off by {error:.2g} of their norm, more than {LIMITS[dtype]:g}")
    ours = _Ours(workload, device, dtype)
    stock_step = _stock_step(workload, device)
    products = ceiling.products(device, tuple(dict.fromkeys([torch.float32, dtype])))
    tasks: dict[str, Callable[[], object]] = {"rnntool": ours.step, "torch": stock_step, **products}
    with working_stream(device):
        warm_up = WARM_UP + 1 if device.type == "cuda" else 1  # until an update is recorded
        timings = take_turns(tasks, rounds=rounds, device=device, warm_up=warm_up)
        update = take_turns({"update": ours.update}, rounds=rounds, device=device)["update"]
    common = {**_machine(device), **_shape(workload), "precision": ceiling.name_of(dtype)}
    ceilings = {
        f"ceiling_gflops_{name}": round(ceiling.gflops(timing.minimum), 1)
        for name, timing in timings.items()
        if name in products
    }
    cost = expect(
        ours.network,
        workload.counts,
        num_tokens=workload.num_tokens,
        num_source_tokens=workload.num_tokens if workload.has_sources else 0,
        dtype=dtype,
        device=device,
    )
    full = 6 * workload.num_tokens * ours.network.decoder.output_size * workload.vocab_size / 1e9
    for name in ("rnntool", "torch"):
        timing = timings[name]
        record = {"case": "train", "who": name, **common, **_times(timing, workload.num_tokens), **ceilings}
        gflop = cost.source_gflop + cost.layers_gflop + (cost.output_gflop if name == "rnntool" else full)
        record["gflops"] = round(gflop / timing.minimum, 1)
        best = ceiling.name_of(dtype if name == "rnntool" else torch.float32)
        record["ceiling_share"] = round(record["gflops"] / ceilings[f"ceiling_gflops_{best}"], 3)
        if name == "torch":
            record["precision"] = "fp32"
        else:
            record |= _ratio(timings, "torch", "rnntool")
            record |= {
                "plan": ",".join(layer.plan.backend for layer in ours.network.decoder.stack),
                "gradient_error": float(f"{error:.2g}"),
                "recorded": ours.is_recorded,
                "update_seconds_min": update.minimum,
                **({} if ours.is_recorded else {"update_share": round(update.minimum / timing.minimum, 4)}),
                "largest_block_of_logits": BLOCK_BYTES,
            }
        yield record


def head(workload: Workload, device: torch.device, dtype: torch.dtype, rounds: int) -> Iterator[Record]:
    """The loss with all its gradients against the three products that it cannot do without."""
    network = workload.build(device)
    N, V = workload.num_tokens, workload.vocab_size
    h = torch.randn(N, network.decoder.output_size, device=device).requires_grad_()
    targets = workload.windows(device)[0][1:].flatten()
    U, x = network.output.weight.detach().to(dtype), h.detach().to(dtype)
    dz = torch.randn(N, V, device=device).to(dtype)

    def loss() -> None:
        network.output.zero_grad()
        value, _ = network.output.loss(h, targets, dtype=dtype)
        value.backward()  # type: ignore[no-untyped-call]

    def bare() -> None:
        x @ U.T
        dz @ U
        dz.T @ x

    timings = take_turns({"rnntool": loss, "products": bare}, rounds=rounds, device=device)
    common = {**_machine(device), **_shape(workload), "precision": ceiling.name_of(dtype)}
    for name, timing in timings.items():
        record = {"case": "head", "who": name, **common, **_times(timing, N)}
        if name == "rnntool":
            record["over_products"] = round(timing.minimum / timings["products"].minimum, 3)
        yield record


def generate(workload: Workload, device: torch.device, dtype: torch.dtype, rounds: int) -> Iterator[Record]:
    """One running text, at each precision, against stock torch one step at a time."""
    del dtype
    return _write(workload, device, rounds, 1, 48)


def batch(workload: Workload, device: torch.device, dtype: torch.dtype, rounds: int) -> Iterator[Record]:
    """The same for many texts side by side."""
    del dtype
    return _write(workload, device, rounds, STREAMS, 16)


def _write(workload: Workload, device: torch.device, rounds: int, streams: int, length: int) -> Iterator[Record]:
    """Texts of `length` tokens each, whole strides."""
    network = workload.build(device)
    writer = StockWriter(StockModel(workload.network.parsed_arch, workload.vocab_size).to(device), streams)
    tasks: dict[str, Callable[[], object]] = {"torch": partial(writer.write, length)}
    for precision in _precisions(device):
        predictor = Predictor([network], [1.0], eos_id=EOS, precision=precision)
        tasks[precision] = _stream(predictor, length) if streams == 1 else _streams(predictor, streams, length)
    timings = take_turns(tasks, rounds=rounds, device=device)
    for name, timing in timings.items():
        each = Timing(tuple(seconds / length for seconds in timing.seconds))
        record: Record = {
            "case": "generate" if streams == 1 else "batch",
            "who": "torch" if name == "torch" else "rnntool",
        }
        record |= {**_machine(device), **_shape(workload), "batch_size": streams}
        record |= {"precision": "fp32" if name == "torch" else name, **_times(each, streams)}
        yield record | (_ratio(timings, "torch", name) if name != "torch" else {})


def translate(workload: Workload, device: torch.device, dtype: torch.dtype, rounds: int) -> Iterator[Record]:
    """Targets as long as their sources, greedily and with a beam, at each precision, against stock torch step by step."""
    del dtype
    network = workload.build(device)
    stock = StockTranslator(workload.network.parsed_arch, workload.vocab_size).to(device)
    length, B = workload.training.bptt, workload.training.batch_size
    source = workload.windows(device)[0][1:]
    sources = [[column.tolist() for column in source.T]]
    for beam_size in (1, BEAM):

        def ours(translator: Translator, beam_size: int = beam_size) -> object:
            begun = translator.read(sources, fewest=[length] * B, most=[length] * B)
            return beam_search(
                translator, begun, beam_size=beam_size, num_best=1, max_tokens=length, length_penalty=1.0
            )

        tasks: dict[str, Callable[[], object]] = {"torch": partial(stock.translate, source, beam_size, length)}
        for precision in _precisions(device):
            translator = Translator([network], [1.0], eos_id=EOS, source_ends=[EOS], precision=precision)
            tasks[precision] = partial(ours, translator)
        timings = take_turns(tasks, rounds=rounds, device=device)
        for name, timing in timings.items():
            record: Record = {"case": "translate", "who": "torch" if name == "torch" else "rnntool"}
            record |= {**_machine(device), **_shape(workload), "beam": beam_size}
            record |= {"precision": "fp32" if name == "torch" else name, **_times(timing, B * length)}
            record["sentences_per_second"] = round(B / timing.minimum, 1)
            yield record | (_ratio(timings, "torch", name) if name != "torch" else {})


CASES: Mapping[str, Callable[[Workload, torch.device, torch.dtype, int], Iterator[Record]]] = {
    "train": train,
    "head": head,
    "generate": generate,
    "batch": batch,
    "translate": translate,
}
"""By name."""


# --- their parts ---------------------------------------------------------------------------------------------------------


def _stock_step(workload: Workload, device: torch.device) -> Callable[[], object]:
    """A training step of the baseline, on the next window each time."""
    arch = workload.network.parsed_arch
    if workload.has_sources:
        translator = StockTranslator(arch, workload.vocab_size).to(device)
        batches = cycle(workload.batches(device))

        def step_on_pairs() -> None:
            batch = next(batches)
            assert batch.source is not None
            descend(translator, translator(batch.source.ids, batch.inputs), batch.targets)

        return step_on_pairs
    stock = StockTrainer(StockModel(arch, workload.vocab_size).to(device))
    windows = cycle(workload.windows(device))

    def step() -> None:
        window = next(windows)
        stock.step(window[:-1], window[1:])

    return step


class _Ours:
    """Training steps as the training loop does them: on a GPU recorded, where they can be."""

    def __init__(self, workload: Workload, device: torch.device, dtype: torch.dtype) -> None:
        self.workload = workload
        self.device = device
        self.dtype = dtype
        self.network = workload.build(device)
        rows, is_sparse = plan_rows(workload.training, self.network)
        self.sparse = is_sparse and takes_rows(workload.training, self.network)
        self.optimizer = build_optimizer(workload.training, self.network.parameters(), rows)
        self.optimizer.lr = LEARNING_RATE
        self.noise = noise_of(workload.training, torch.Generator(device))
        self.recorder = build_recorder(self.network, workload.training, self.optimizer, noise=self.noise, dtype=dtype)
        self.state = self.network.state0(workload.training.batch_size)
        self.batches = cycle(workload.batches(device))

    @property
    def is_recorded(self) -> bool:
        """Whether a step replays what was recorded."""
        return self.recorder.recording_of(self.workload.batches(self.device)[:1], self.state) is not None

    def step(self) -> None:
        """Gradients and update."""
        window = next(self.batches)
        recording = self.recorder.recording_of([window], self.state)
        if recording:
            found, self.state = recording(window, self.state, LEARNING_RATE)
            found.tolist()
            return
        self.optimizer.zero_grad()
        _, self.state = backward(
            self.network,
            window,
            self.state,
            self.workload.training,
            noise=self.noise,
            dtype=self.dtype,
            sparse=self.sparse,
        )
        self.update()

    def update(self) -> None:
        """Clipping and the optimiser, with the gradients that are there."""
        training = self.workload.training
        _, divisor = measure_gradients(
            self.network.parameters(), tokens=self.workload.num_tokens, norm=training.clip, value=training.clip_value
        )
        self.optimizer.step(divisor)


def _stream(predictor: Predictor, length: int) -> Callable[[], object]:
    """One running text, as `rnntool generate --words` writes it."""
    seeds = iter(range(1 << 30))
    strider = Strider(predictor, Bend(), batch_size=1)
    return lambda: list(sample_stream(strider, num_tokens=length, carry=True, seed=next(seeds)))


def _streams(predictor: Predictor, streams: int, length: int) -> Callable[[], object]:
    """Several running texts side by side."""
    strider = Strider(predictor, Bend(), batch_size=streams)
    numbers = np.arange(streams, dtype=np.uint64)
    ahead = np.arange(strider.length, dtype=np.uint64)[:, None]

    def write() -> None:
        prefix = predictor.begin(()).at([0] * streams)
        for position in range(0, length, strider.length):
            _, _, prefix = strider.advance(prefix, uniform_each(1, numbers, ahead + np.uint64(position)))

    return write


def _precisions(device: torch.device) -> list[str]:
    """What a device can multiply in, one token after the other."""
    precisions = ["fp64", "fp32"] if device.type != "mps" else ["fp32"]
    return precisions + ["bf16"] * has_bf16(device) + ["int8"] * (device.type == "cpu" and largest_int8() > 0)


def _machine(device: torch.device) -> Record:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "rnntool": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(device),
        "machine": name,
        "threads": torch.get_num_threads(),
        "clock": clock_name(device),
    }


def _shape(workload: Workload) -> Record:
    training = workload.training
    return {
        "arch": str(workload.network.parsed_arch),
        **({"encoder": workload.network.encoder} if workload.has_sources else {}),
        "output": workload.settled.output,
        "vocab_size": workload.vocab_size,
        "batch_size": training.batch_size,
        "bptt": training.bptt,
        "optimizer": training.optimizer,
    }


def _times(timing: Timing, num_tokens: int) -> Record:
    return {
        "rounds": len(timing.seconds),
        "seconds_min": timing.minimum,
        "seconds_median": timing.median,
        "noisy": timing.is_noisy,
        "tokens_per_second": round(num_tokens / timing.minimum),
        "peak_memory": _peak_memory(),
    }


def _ratio(timings: Mapping[str, Timing], slow: str, fast: str) -> Record:
    """How many times as fast, by the fastest rounds and by those in the middle."""
    return {
        "speedup": round(timings[slow].minimum / timings[fast].minimum, 2),
        "speedup_median": round(timings[slow].median / timings[fast].median, 2),
    }


def _peak_memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024
