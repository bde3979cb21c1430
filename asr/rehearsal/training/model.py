"""Whisper's architecture in torch, with a cheap stand-in for the thirty seconds of padding.

faster-whisper pads features with 0.0 to 1500 encoder positions. All padded positions share one
output of the convolutions, so the positions of the sound are exact here, and the rest is a few
sampled positions whose attention logits get the logarithm of how many each stands for. That makes a
step several times cheaper. Parameters bear the names that transformers gives them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POSITIONS = 1500
TEXT_POSITIONS = 448
MELS = 80
TRAINING_TAIL, READING_TAIL = 16, 64
"""Padded positions that stand for all of them."""


@dataclass(frozen=True)
class Shape:
    """`width` of the model and how many layers; heads are 32 wide."""

    width: int
    encoder_layers: int
    decoder_layers: int
    tokens: int
    phonemes: int

    @property
    def heads(self) -> int:
        return self.width // 32


def sinusoids(count: int, width: int, scale: float) -> Tensor:
    """Whisper's encoder positions; fixed, in the decoder too."""
    steps = math.log(10_000) / (width // 2 - 1)
    angles = torch.arange(count)[:, None] * torch.exp(-steps * torch.arange(width // 2))[None]
    return torch.cat([angles.sin(), angles.cos()], 1) * scale


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, source: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """The result [batch, length, width], and the logits before the softmax."""
        batch, length, width = x.shape
        queries = self._split(self.q_proj(x) * (width // self.heads) ** -0.5)
        logits = queries @ self._split(self.k_proj(source)).transpose(-1, -2)
        if bias is not None:
            logits = logits + bias.to(logits.dtype)
        values = self._split(self.v_proj(source))
        mixed = torch.softmax(logits, -1).to(values.dtype) @ values
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, length, width)), logits

    def _split(self, x: Tensor) -> Tensor:
        batch, _, width = x.shape
        return x.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)


class EncoderLayer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.self_attn = Attention(shape)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def heard(self, x: Tensor, bias: Tensor | None) -> Tensor:
        normal = self.self_attn_layer_norm(x)
        return x + self.self_attn(normal, normal, bias)[0]

    def thought(self, x: Tensor) -> Tensor:
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return self.thought(self.heard(x, bias))


class DecoderLayer(EncoderLayer):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.encoder_attn = Attention(shape)
        self.encoder_attn_layer_norm = nn.LayerNorm(shape.width)

    def read(
        self, x: Tensor, causal: Tensor, memory: Tensor, padding: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """With the logits of the attention on what was heard."""
        x = self.heard(x, causal)
        found, logits = self.encoder_attn(self.encoder_attn_layer_norm(x), memory, padding)
        return self.thought(x + found), logits


class Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.conv1 = nn.Conv1d(MELS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = _fixed(POSITIONS, width, 0.3)
        self.layers = nn.ModuleList(EncoderLayer(shape) for _ in range(shape.encoder_layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, within: Tensor) -> tuple[Tensor, Tensor | None]:
        """`features` [batch, 80, 2 × positions], zeros where a row is over. The memory, and the
        bias that its attention logits need. Its last positions stand for the padding: `within`
        [count] says where each lies in its equal share of it, from 0 to 1."""
        x = self._convolved(features)
        real = x.shape[1]
        x = x + self.embed_positions.weight[:real]
        bias = None
        if real < POSITIONS:
            count = min(len(within), POSITIONS - real)
            x = torch.cat(
                [x, self._padding(features, real, within[:count]).expand(len(x), -1, -1)], 1
            )
            bias = x.new_zeros(real + count)
            bias[real:] = math.log((POSITIONS - real) / count)
        for layer in self.layers:
            x = layer(x, bias)
        return self.layer_norm(x), bias

    def _convolved(self, features: Tensor) -> Tensor:
        return F.gelu(self.conv2(F.gelu(self.conv1(features)))).transpose(1, 2)

    def _padding(self, features: Tensor, real: int, within: Tensor) -> Tensor:
        silent = self._convolved(features.new_zeros(1, MELS, 12))[:, 3:4]
        share = (POSITIONS - real) / len(within)
        order = torch.arange(len(within), device=within.device)
        return silent + self.embed_positions.weight[((order + within) * share).long() + real]


class Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.tokens, shape.width)
        nn.init.normal_(self.embed_tokens.weight, std=0.05)
        self.embed_positions = _fixed(TEXT_POSITIONS, shape.width, 0.1)
        self.layers = nn.ModuleList(DecoderLayer(shape) for _ in range(shape.decoder_layers))
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(
        self, tokens: Tensor, memory: Tensor, padding: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """States [batch, length, width], and each layer's logits of attention on the memory."""
        length = tokens.shape[1]
        x = self.embed_tokens(tokens) + self.embed_positions.weight[:length]
        causal = x.new_full((length, length), float("-inf")).triu(1)
        attention: list[Tensor] = []
        for layer in self.layers:
            x, logits = layer.read(x, causal, memory, padding)
            attention.append(logits)
        return self.layer_norm(x), attention


class Transformer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape)


class Micro(nn.Module):
    """The model, and two heads that only the training has: phonemes, and the word at a position."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Transformer(shape)
        self.phonemes = nn.Linear(shape.width, shape.phonemes)
        self.word = nn.Linear(shape.width, shape.width)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and "embed" not in name:
                nn.init.xavier_uniform_(parameter)

    def logits(self, states: Tensor) -> Tensor:
        weight: Tensor = self.model.decoder.embed_tokens.weight
        return states @ weight.T.to(states.dtype)

    @torch.no_grad()
    def read(
        self, features: Tensor, prompt: list[int], end: int, most: int = 60
    ) -> list[list[int]]:
        """The likeliest token after token, for each row."""
        memory, padding = self.model.encoder(
            features, torch.full((READING_TAIL,), 0.5, device=features.device)
        )
        tokens = torch.tensor(prompt, device=features.device)[None].repeat(len(features), 1)
        done = torch.zeros(len(features), dtype=torch.bool, device=features.device)
        for _ in range(most):
            states, _ = self.model.decoder(tokens, memory, padding)
            chosen = self.logits(states[:, -1]).argmax(-1)
            chosen[done] = end
            done |= chosen == end
            tokens = torch.cat([tokens, chosen[:, None]], 1)
            if bool(done.all()):
                break
        return [row[len(prompt) :] for row in tokens.tolist()]


def _fixed(count: int, width: int, scale: float) -> nn.Embedding:
    embedding = nn.Embedding(count, width)
    embedding.weight.data = sinusoids(count, width, scale)
    embedding.weight.requires_grad_(False)
    return embedding
