"""A tiny Qwen2 with random weights, made here: what it says means nothing, how it is served does.

    .venv-vllm/bin/python tests/vllm/tiny_model.py FOLDER

About 1.7 MB; the tokeniser is trained on Viva's own prompts. Full stops and quotation marks are
made likelier than chance, so that free words end before the length limit now and then.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY = 2048
HIDDEN = 128
LIKELIER = {'"': 6.0, ".": 5.0, '."': 5.0, '"}': 5.0}
"""Added to the logits of these tokens."""

CHAT_TEMPLATE = """\
{%- if tools %}<|im_start|>system
Functions, one JSON schema a line:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}A call is written <tool_call>{"name": NAME, "arguments": OBJECT}</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or '' }}
{%- for call in message.tool_calls or [] %}
<tool_call>{{ {"name": call.function.name, "arguments": call.function.arguments} | tojson }}
{#- -#} </tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE without tokens for control bytes, so that JSON strings stay valid."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    kept = [c for c in pre_tokenizers.ByteLevel.alphabet() if c.isprintable() and c not in "Āġ"]
    control = set(map(chr, range(0x100, 0x121))) - {"Ċ", "Ġ"}  # how byte-level BPE writes 0–32
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=[c for c in kept if c not in control],
        show_progress=False,
    )
    bpe.train([str(path) for path in sorted(ROOT.glob("prompts/*/*.md"))], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
    )


def model(tokens: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokens),
        hidden_size=HIDDEN,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32768,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
    )
    made = Qwen2ForCausalLM(config)
    constant = torch.zeros(HIDDEN)
    constant[0] = 1.0  # every hidden state has it, so that rows of the output layer can have a bias
    with torch.no_grad():
        made.model.embed_tokens.weight += constant * 4
        made.lm_head.weight *= 5
        for text, bias in LIKELIER.items():
            for token in tokens(text)["input_ids"][:1]:
                made.lm_head.weight[token] += constant * bias / HIDDEN**0.5
    return made.to(torch.bfloat16)


def make(folder: Path) -> None:
    tokens = tokenizer()
    tokens.save_pretrained(folder)
    model(tokens).save_pretrained(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
