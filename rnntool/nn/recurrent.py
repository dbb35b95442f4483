"""Recurrent layers on top of each other, driven over time.

Knows layers, noise, residuals and normalisation; knows nothing of tokens or of what the outputs are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from rnntool.nn.cells.cell import Cell, State, Weights
from rnntool.nn.kernels import reference
from rnntool.nn.noise import Noise
from rnntool.nn.packed import pack
from rnntool.nn.plan import BACKENDS, Plan, choose_plan


class Layer(nn.Module):
    """The weights of one cell.

    Args:
        cell: what is computed.
        layer_norm: whether the output is normalised over its units.
        is_direct: whether inputs are what the units are given: the matrices that would multiply them are slices of the
            identity, and no weights.
    """

    def __init__(self, cell: Cell, *, layer_norm: bool = False, is_direct: bool = False) -> None:
        super().__init__()
        self.cell = cell
        self.is_direct = is_direct
        self.backend = "auto"
        for name, shape in self._own.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self.norm = nn.LayerNorm(cell.output_size) if layer_norm else None

    @property
    def plan(self) -> Plan:
        """How the cell is driven, where its weights are now."""
        return choose_plan(self.cell, backend=self.backend, device=next(self.parameters()).device)

    @property
    def _own(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of what is learned."""
        given = self.cell.inputs if self.is_direct else ()
        return {name: shape for name, shape in self.cell.shapes.items() if name not in given}

    def weights(self, noise: Noise | None = None) -> dict[str, Tensor]:
        """The cell's weights by name, the recurrent ones dropped as `noise` says."""
        weights: dict[str, Tensor] = {name: self.get_parameter(name) for name in self._own}
        if self.is_direct:
            like = next(self.parameters())
            identity = torch.eye(self.cell.input_size, dtype=like.dtype, device=like.device)
            sizes = [self.cell.shapes[name][0] for name in self.cell.inputs]
            weights |= zip(self.cell.inputs, torch.split(identity, sizes), strict=True)
        if noise is not None:
            for name in self.cell.recurrent:
                weights[name] = noise.drop_recurrent(weights[name])
        return weights

    def init(self, generator: torch.Generator) -> None:
        """Set all weights to where training starts."""
        for name in self._own:
            self.cell.init(name, self.get_parameter(name), generator)
        if self.norm is not None:
            self.norm.reset_parameters()


class Recurrent(nn.Module):
    """A stack of recurrent layers.

    Args:
        cells: one per layer, each reading what the one below puts out.
        residual: whether every layer after the first adds its input to its output where both are equally wide.
        layer_norm: whether every layer's output is normalised.
        is_direct: whether the first layer's inputs are what its units are given; see `Layer`.
    """

    def __init__(
        self, cells: Sequence[Cell], *, residual: bool = False, layer_norm: bool = False, is_direct: bool = False
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(cell, layer_norm=layer_norm, is_direct=is_direct and not index) for index, cell in enumerate(cells)
        )
        self.residual = residual

    @property
    def stack(self) -> list[Layer]:
        """The layers, from the first, as what they are."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    @property
    def output_size(self) -> int:
        """Width of the last layer's output."""
        return self.stack[-1].cell.output_size

    def plan(self, backend: str) -> None:
        """Drive every layer by `backend`, or by the fastest that can for `auto`.

        Raises:
            OptionError: the backend is unknown or cannot drive a layer.
        """
        for layer in self.stack:
            choose_plan(layer.cell, backend=backend)
            layer.backend = backend

    def state0(self, batch_size: int) -> State:
        """The state before the first token: one flat tuple, the first layer's tensors first."""
        like = next(self.parameters())
        return tuple(s for layer in self.stack for s in layer.cell.state0(batch_size, like))

    def run(
        self,
        x: Tensor,
        state: State,
        *,
        noise: Noise | None = None,
        keep: int | None = None,
        clip_step: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, State]:
        """All layers over a window.

        Args:
            x: inputs, (T, B, E).
            state: from `state0` or an earlier call.
            noise: dropout, or None for none.
            keep: after how many steps the state that is returned is taken; None: after the last.
            clip_step: largest norm of the gradient with respect to each step's state; 0 for no limit.  Such a limit
                takes the reference backend.
            dtype: lowest that products may have, where that is faster.

        Returns:
            The last layer's outputs (T, B, `output_size`) and the state after `keep` steps.
        """
        kept: list[Tensor] = []
        first = 0
        for index, layer in enumerate(self.stack):
            size = len(layer.cell.state_sizes)
            if noise is not None:
                x = noise.drop(x, noise.layer if index else noise.input)
            weights = layer.weights(noise)
            run = partial(reference.run, clip_step=clip_step) if clip_step else BACKENDS[layer.plan.backend]
            drive = partial(run, dtype=dtype)
            before = state[first : first + size]
            if keep == 0:
                kept += before
                h, _ = drive(layer.cell, weights, x, before)
            else:
                h, after = drive(layer.cell, weights, x[:keep], before)
                kept += after
                if keep is not None and keep < len(x):
                    rest, _ = drive(layer.cell, weights, x[keep:], after)
                    h = torch.cat([h, rest])
            x = self._lift(layer, x, h, index)
            first += size
        return x, tuple(kept)

    def step(
        self, x: Tensor, state: State, *, weights: Sequence[Weights] | None = None, noise: Noise | None = None
    ) -> tuple[Tensor, State]:
        """One token: inputs (B, E) to outputs (B, `output_size`).

        Args:
            x: inputs, (B, E).
            state: from `state0` or an earlier call.
            weights: what stands in for the weights of each layer; None for themselves.
            noise: dropout between layers, or None for none.
        """
        kept: list[Tensor] = []
        first = 0
        for index, layer in enumerate(self.stack):
            size = len(layer.cell.state_sizes)
            own = layer.weights() if weights is None else weights[index]
            if noise is not None and index:
                x = noise.drop(x[None], noise.layer)[0]
            h, after = layer.cell.step(own, x, state[first : first + size])
            kept += after
            x = self._lift(layer, x, h, index)
            first += size
        return x, tuple(kept)

    def packed(self, packing: str) -> list[Weights]:
        """What `step` may take for the weights of each layer: matrices in few bits, see `rnntool.nn.packed`.

        Raises:
            OptionError: the device does not compute with them natively.
        """
        return [
            {name: pack(w, packing) if w.dim() == 2 else w for name, w in layer.weights().items()}  # type: ignore[misc]
            for layer in self.stack
        ]

    def _lift(self, layer: Layer, x: Tensor, h: Tensor, index: int) -> Tensor:
        """What layer `index`, which read x and put out h, hands to the one above."""
        if layer.norm is not None:
            h = layer.norm(h)
        return h + x if self.residual and index and h.shape == x.shape else h
