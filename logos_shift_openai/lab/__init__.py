"""The lab: a local OpenAI-compatible provider to try things on, with no key, network or cost.

Two models, and neither is a large language model. ``oracle-large`` is a script: it looks the answer up in
labelled rows, is right 95 % of the time, and takes its time, to stand in for an expensive model. An answer is a
label, any text, JSON, or calls of functions.
``tiny-base`` is a small text classifier: untuned it guesses; tuned through the fine-tuning API it really
learns, by softmax regression on words and pieces of words, to give one of the answers of its training file.
It cannot write a sentence it has not seen. In JSON and in the arguments of a call, values that stand in the question
are gaps to it, and a second small model has learnt which words or number of the question go into each.

    with Lab() as lab:
        client = OpenAI(base_url=lab.base_url, api_key="any")

Owns everything under ``lab``; standard library and ``core`` only. ``python -m logos_shift_openai.lab --port 8400``
runs it in the foreground.
"""

from __future__ import annotations

from . import data
from .answers import Call
from .catalogue import ORACLE, TINY, Price, price
from .exchange import SeenRequest
from .faults import Fault, Faults
from .server import Lab

__all__ = ["ORACLE", "TINY", "Call", "Fault", "Faults", "Lab", "Price", "SeenRequest", "data", "price"]
