"""In place of the language model that detectors with text download: its class and width, random weights."""

from __future__ import annotations

import functools
import string
import tempfile
from pathlib import Path
from typing import Any

NAME = "bert-base-uncased"
LAYERS = 2


def use_stand_in(node: Any) -> None:
    """Put the stand-in where a config's model names the language model, in place."""
    entries = node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else ())
    for key, value in entries:
        if value == NAME:
            node[key] = _stand_in()
        else:
            use_stand_in(value)


@functools.cache
def _stand_in() -> str:
    """The folder of a BERT of few layers whose words are letters."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = Path(tempfile.mkdtemp(prefix="families_"))
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    BertModel(BertConfig(vocab_size=len(words), num_hidden_layers=LAYERS)).save_pretrained(folder)
    return str(folder)
