"""The softmax, and its loss with all gradients in one pass over blocks of logits.

For a row h with target y, logits z = U h + b and any number c:

    e = exp(z − c)      s = Σ_v e_v      −log P(y) = log s + c − z_y
    ∂/∂h = Uᵀ e / s − U_y                ∂/∂U = Σ (e / s) hᵀ − 1_y hᵀ

Since 1/s and the target enter as one number a row, they are applied to rows of width H, never to rows of width V.  What is
left to do with a block of logits is one exponential where it stands, one sum, and the two products.  c is a guess of
log Σ exp z, so that likely words have logits near zero, where bfloat16 is finest; a block whose sums show that the guess
was too far off is computed again with its rows' own largest logits.

Products may be of lower precision than sums and statistics, which have that of h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rnntool.nn.output.block import normalizer_for
from rnntool.nn.output.direct import Runs
from rnntool.nn.precision import TILE

BLOCK_BYTES = 32 << 20
"""Largest block of logits that exists at once."""

IN_CACHE = 1 << 17
"""Numbers that a processor's cache holds while they are read several times: log softmax of 320 times 6,000 takes 1.2 ms by
so many at once, all together 1.8 (one thread, float32)."""

PROBES, PROBED = 8, 16
"""Rows, spread evenly, whose mean log Σ exp z is the guess c: one of 16, but 8 at most."""

SMALLEST_SUM, LARGEST_SUM = 1e-18, 1e18
"""Sums of exponentials between which no term that matters is lost."""

GRAIN = 16
"""Rows are filled up to a multiple of this, since oneDNN makes a new kernel for every number of rows that it meets; and the
columns of a product that gives the gradients of both U and b: 201 took 73 ms, 208 took 39 (704 rows, 10,000 words, one core
with AVX2)."""

UPRIGHT = 1 << 20
"""Largest block of float32 logits in which a word's rows lie side by side, not a row's words: its three products then take
9.7 ms in place of 10.6 (560 rows, 1,074 words, 128 wide; one core with AVX2), 7.6 of 9.5 (48 rows, 5,789 words, 200 wide),
but a block past the cache more, 185 of 149 (700 rows, 10,000 words)."""

BESIDE = 2
"""Columns beside U in a processor's bfloat16 products that hold b, rounded, and what rounding lost: b apart would be
written to the whole block before the product is added to it."""

FEWEST_PARTS = 16
"""Columns beside them, at least, that are one for a part of the words each, so that the product with e sums up the parts.
The sums are rounded to bfloat16, many of them together to less."""

DEPTH = 32
"""What is summed in a processor's bfloat16 products is filled up to a multiple of this, as its tiles are: 704 rows and
10,000 words take 2.2 ms with 224, 2.9 with 208 (one thread with AMX)."""

BITS = 1 / math.log(2)
"""Of a nat.  A processor's bfloat16 logits are in bits, since torch's 2^x is faster than its e^x: the loss takes 18 ms, not
22 to 24 (700 rows, 10,000 words, 200 wide, one thread with AMX)."""


@dataclass(frozen=True)
class Factors:
    """What the products of a softmax take, filled up as they want it.

    Args:
        h: (N', H').
        U: (V', H').
        b: less c, (V',); None where U has it in columns that h has ones for.
        shift: c.
        parts: the columns of U that count words, in parts, where logits are in bits; None where they are in nats and
            nothing counts.
    """

    h: Tensor
    U: Tensor
    b: Tensor | None
    shift: Tensor
    parts: slice | None = None

    @property
    def bits(self) -> float:
        """What a nat of logits is here."""
        return 1.0 if self.parts is None else BITS

    def exponentials(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """e for logits (n, V'), where these stand; its product with U (n, H'); and its sums (n,), in float32 at least."""
        e = z.exp_() if self.parts is None else z.exp2_()
        product = e @ self.U
        counted = e if self.parts is None else product[:, self.parts]
        return e, product, counted.sum(dim=1, dtype=torch.promote_types(e.dtype, torch.float32))


def rows_of_a_block(vocab_size: int, element_size: int) -> int:
    """How many rows of logits, of `element_size` bytes each, make a block."""
    return max(1, BLOCK_BYTES // (vocab_size * element_size))


def log_softmax(z: Tensor) -> Tensor:
    """log softmax over each row of z (N, V), which is overwritten unless gradients are to reach it."""
    # torch.log_softmax sums less carefully: with 10,000 words its probabilities miss one by 9e-6, these by 6e-7
    if z.requires_grad:
        return z - z.logsumexp(dim=1, keepdim=True)
    if z.device.type != "cpu":
        return z.sub_(z.logsumexp(dim=1, keepdim=True))
    for rows in torch.split(z, max(1, IN_CACHE // z.shape[1])):
        rows.sub_(rows.amax(dim=1, keepdim=True))
        rows.sub_(rows.exp().sum(dim=1, keepdim=True).log_())
    return z


def softmax_nll(h: Tensor, U: Tensor, b: Tensor, targets: Tensor, runs: Runs | None = None) -> Tensor:
    """−log P(target) in nats, (N,); with direct weights, if there are any."""
    size = rows_of_a_block(len(b), h.element_size())
    nll = []
    for start in range(0, max(1, len(h)), size):
        rows = slice(start, start + size)
        z = torch.addmm(b, h[rows], U.T)
        if runs is not None:
            z = z + runs.at(rows).sums(len(b))
        nll.append(nll_of_logits(z, targets[rows]))
    return torch.cat(nll)


def nll_of_logits(z: Tensor, targets: Tensor) -> Tensor:
    """−log P(target) in nats, (N,), for logits (N, V)."""
    return z.logsumexp(dim=1) - z.gather(1, targets[:, None])[:, 0]


def softmax_loss(
    h: Tensor,
    U: Tensor,
    b: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None,
    smoothing: float,
    dtype: torch.dtype,
    dU: Tensor,
    db: Tensor,
    penalty: float = 0.0,
    runs: Runs | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a softmax over the rows of U, and its gradients.

    Args:
        h: (N, H), N may be 0.
        U: (V, H).
        b: (V,).
        targets: ids, (N,).
        weights: of each row in the loss, (N,); None for ones.
        smoothing: share of each target's probability that is spread evenly over all V.
        dtype: of the products.
        dU: is set to the gradient of U, (V, H).
        db: is set to the gradient of b, (V,).
        penalty: weight of (log Σ exp z)² in each row's loss.
        runs: direct weights, whose gradient is added to that of their table, if there are any.

    Returns:
        The weighted sum of the smoothed losses, the plain Σ −log P(target), and the gradient of h (N, H).
    """
    num_rows, vocab_size = len(h), len(b)
    if not num_rows:
        dU.zero_()
        db.zero_()
        return h.sum(), h.sum(), torch.zeros_like(h)
    width = h.shape[1]
    factors = _factors(h, U, b, runs, dtype)
    ones = h.new_ones(num_rows) if weights is None else weights.to(h.dtype)
    log_z, dh = h.new_empty(num_rows), torch.empty_like(h)
    right, mean = h.new_zeros(num_rows), h.new_zeros(num_rows)  # direct weights: of the targets, and of all words
    size = max(GRAIN, rows_of_a_block(vocab_size, factors.U.element_size()) // GRAIN * GRAIN)
    for start in range(0, num_rows, size):
        rows = slice(start, min(start + size, num_rows))
        direct = None if runs is None else runs.at(rows)
        sums = None if direct is None else direct.sums(vocab_size)
        block = replace(factors, h=factors.h[start : start + size])
        e, product, scale, log_z[rows] = _weighted(block, ones[rows], sums)
        if penalty:
            scale = scale * (1 + 2 * penalty * (log_z[rows] + factors.shift))[:, None]
        torch.mul(product[: len(scale), :width], scale, out=dh[rows])
        _add_gradients(dU, db, e, h[rows], scale, is_first=start == 0)
        if direct is not None and direct.gradient is not None and sums is not None:
            right[rows], mean[rows] = sums.gather(1, targets[rows, None])[:, 0], sums.mean(dim=1)
            dz = e[: len(scale), :vocab_size] * scale
            if smoothing:
                dz -= (smoothing / vocab_size) * ones[rows, None]
            dz.scatter_add_(1, targets[rows, None], (smoothing - 1) * ones[rows, None])
            direct.gradient.add_runs(direct.starts, dz)
    log_z += factors.shift
    U_y = U[targets]
    nll = log_z - torch.linalg.vecdot(h, U_y) - b[targets] - right
    losses = nll
    hit = ones if not smoothing else (1 - smoothing) * ones
    dh.addcmul_(U_y, hit[:, None], value=-1)
    dU.index_add_(0, targets, h * hit[:, None], alpha=-1)
    db.index_add_(0, targets, hit, alpha=-1)
    if smoothing:
        mean_U = U.mean(dim=0)
        losses = (1 - smoothing) * nll + smoothing * (log_z - h @ mean_U - b.mean() - mean)
        dh.addcmul_(mean_U, ones[:, None], value=-smoothing)
        dU.sub_(ones @ h, alpha=smoothing / vocab_size)
        db.sub_(ones.sum(), alpha=smoothing / vocab_size)
    if penalty:
        losses = losses + penalty * log_z.square()
    return losses @ ones, nll.sum(), dh


def _factors(h: Tensor, U: Tensor, b: Tensor, runs: Runs | None, dtype: torch.dtype) -> Factors:
    """The factors of h (N, H) and U (V, H) in `dtype`, with a guess for c."""
    (num_rows, width), vocab_size = h.shape, len(b)
    if dtype is torch.bfloat16 and h.device.type == "cpu":
        return _factors_with_columns(h, U, b, runs, dtype)
    tile = _tile(h.device)
    low_U = _filled(U.to(dtype), -vocab_size % tile, -width % tile)
    low_h = _filled(h.to(dtype), -num_rows % (GRAIN if h.device.type != "cpu" else 1), -width % tile)
    shift = _guess(low_h, low_U[:vocab_size], b, runs)
    return Factors(low_h, low_U, F.pad((b - shift).to(dtype), (0, -vocab_size % tile), value=-math.inf), shift)


def _factors_with_columns(h: Tensor, U: Tensor, b: Tensor, runs: Runs | None, dtype: torch.dtype) -> Factors:
    """As `_factors`, with all that is to be added to logits and summed up in columns beside U."""
    (num_rows, width), vocab_size = h.shape, len(b)
    first = width + BESIDE
    all_width = first + FEWEST_PARTS + -(first + FEWEST_PARTS) % DEPTH
    low_h = h.new_zeros(num_rows + -num_rows % GRAIN, all_width, dtype=dtype)
    low_h[:num_rows, :width] = h * BITS
    low_U = U.new_empty(vocab_size, all_width, dtype=dtype)
    low_U[:, :width] = U
    low_U[:, width:] = 0
    shift = _guess(low_h, low_U, b, runs, BITS)
    low_h[:num_rows, width:first] = 1
    rest = (b - shift) * BITS
    for column in range(width, first):
        low_U[:, column] = rest
        rest -= low_U[:, column]
    num_parts = all_width - first
    for part in range(num_parts):
        low_U[part::num_parts, first + part] = 1
    return Factors(low_h, low_U, None, shift, slice(first, all_width))


def _tile(device: torch.device) -> int:
    """What all sides of products are a multiple of."""
    return TILE if device.type == "cuda" else 1


def _filled(x: Tensor, rows: int, columns: int) -> Tensor:
    """x with so many more rows and columns of zeros; x itself if there are none."""
    return F.pad(x, (0, columns, 0, rows)) if rows or columns else x


def _add_gradients(dU: Tensor, db: Tensor, e: Tensor, h: Tensor, scale: Tensor, *, is_first: bool) -> None:
    """Add Σ_n s_n e_n h_nᵀ to dU (V, H), and Σ_n s_n e_n to db (V,).

    Args:
        dU: to be added to; to be set, if this is the first block.
        db: likewise.
        e: (n', V'), n and V or more, as products want it; finite.
        h: (n, H).
        scale: s, (n, 1).
        is_first: whether dU and db have no numbers yet.
    """
    (num_rows, width), vocab_size = h.shape, len(db)
    kept = 0 if is_first else 1
    if e.dtype is dU.dtype and e.device.type == "cpu":
        of_words = e[:num_rows, :vocab_size].T
        torch.addmm(dU, of_words, h * scale, beta=kept, out=dU)
        torch.addmv(db, of_words, scale[:, 0], beta=kept, out=db)
        return
    # the last column, of ones before they are scaled, gives the gradient of b in the same product
    columns = torch.cat([h * scale, scale], dim=1).to(e.dtype)
    columns = F.pad(columns, (0, -columns.shape[1] % GRAIN, 0, len(e) - num_rows))
    both = (e.T @ columns)[:vocab_size]  # (V, H + 1)
    for sums, new in ((dU, both[:, :width]), (db, both[:, width])):
        if is_first:
            sums.copy_(new)
        else:
            sums += new


def _guess(h: Tensor, U: Tensor, b: Tensor, runs: Runs | None, bits: float = 1.0) -> Tensor:
    """About what log Σ exp z is, one number, for h that is multiplied by `bits`."""
    some = slice(None, None, max(PROBED, len(h) // PROBES))
    z = (U @ h[some].T).T.contiguous().to(b.dtype).div_(bits).add_(b)
    if runs is not None:
        sums = runs.at(some).sums(len(b))
        z[: len(sums)] += sums
    return z.logsumexp(dim=1).mean()


def _weighted(factors: Factors, weights: Tensor, sums: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A block of logits turned into what, times a number for each row, is its weighted probabilities.

    Args:
        factors: with h (n, H') of the block.
        weights: of the first rows, those that count, (m,).
        sums: what is added to the first logits of these rows; None for nothing.

    Returns:
        e (n, V'), its product with U (n, H'), the number of each row that counts, (m, 1), and log Σ exp(z − c) of it, (m,).
    """
    normalize = normalizer_for(factors.h.device)
    if normalize is not None:
        e = _logits(factors, sums)
        log_z = normalize(e, F.pad(weights.float(), (0, len(e) - len(weights))))[: len(weights)]
        return e, e @ factors.U, torch.ones_like(weights)[:, None], log_z.to(weights.dtype)
    e, product, s, log_z = _exponentials(factors, len(weights), sums)
    return e, product, (weights / s)[:, None], log_z


def _logits(factors: Factors, sums: Tensor | None) -> Tensor:
    """U h + b, (n, V'), and `sums` where they are, in bits if the factors are."""
    h, U, b = factors.h, factors.U, factors.b
    if b is None:
        z = h @ U.T
    elif h.dtype is torch.float32 and h.device.type == "cpu" and len(h) * len(U) <= UPRIGHT:
        z = torch.addmm(b[:, None], U, h.T).T
    else:
        z = torch.addmm(b, h, U.T)
    if sums is not None:
        z[: len(sums), : sums.shape[1]].add_(sums, alpha=factors.bits)
    return z


def _exponentials(factors: Factors, num_rows: int, sums: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Exponentials of a block of logits, so scaled that none overflows.

    Args:
        factors: with h (n, H') of the block.
        num_rows: how many of the n rows count, the first.
        sums: what is added to the first logits of these rows; None for nothing.

    Returns:
        e (n, V'), its product with U (n, H'), the sum of each row that counts, and log Σ exp(z − c) of it.
    """
    if factors.h.device.type == "cpu":  # no other device is asked whether the guess was good
        e, product, s = factors.exponentials(_logits(factors, sums))
        s = s[:num_rows]
        if float(s.min()) > SMALLEST_SUM and float(s.max()) < LARGEST_SUM:
            return e, product, s, s.log()
    z = _logits(factors, sums)
    top = z.amax(dim=1, keepdim=True)
    e, product, s = factors.exponentials(z.sub_(top))
    s = s[:num_rows]
    return e, product, s, s.log() + top[:num_rows, 0] / factors.bits
