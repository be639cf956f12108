"""Why a call is not in an edition: one word for each reason, what it means, and what would change it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Reason(NamedTuple):
    """What a reason means, and the next step for whoever lost too much by it."""

    meaning: str
    step: str


REASONS: Final[dict[str, Reason]] = {
    "endpoint": Reason("neither a chat, a response nor a completion", "other calls become no chat examples"),
    "context": Reason("goes on from messages that lie with the provider", "send the whole conversation in each call"),
    "candidate": Reason("answered by a candidate", "--answers any takes them too"),
    "model": Reason("another requested model", "choose another --model"),
    "metadata": Reason("without the metadata asked for", "choose another --metadata"),
    "fingerprint": Reason("another prompt", "choose another --fingerprint"),
    "feedback": Reason("feedback asks to leave it out", "--feedback any takes them too"),
    "error": Reason("ended in an error", "a correction would make it an example"),
    "incomplete": Reason("the answer was not received whole", "a correction would make it an example"),
    "no_body": Reason("its text is not kept any more", "raise the days that bodies are kept: logos-shift store keep"),
    "sampled": Reason("its client kept no text of it, as sampling asks", "raise sampling.bodies in the config"),
    "truncated": Reason("cut for its size when it was recorded", "raise the client's size limit"),
    "media": Reason("holds pictures, sound or files, of which only hashes are kept", "train on its text-only calls"),
    "unreadable": Reason("no chat request that can be read", "look at one with: logos-shift calls show"),
    "bad_text": Reason("holds half of a surrogate pair, or no UTF-8", "mend the text where it is made"),
    "no_answer": Reason("there is no answer", "a correction would make it an example"),
    "refused": Reason("the model refused", "a correction would make it an example"),
    "cut": Reason("the answer ended at a limit of length", "raise the limit of the calls, or correct the answer"),
    "invalid": Reason("the JSON that was asked for is not valid", "a correction would make it an example"),
    "tools": Reason("tools that are no functions, or of the old kind", "offer functions in tools"),
    "broken_tools": Reason("calls of tools that do not fit together", "look at one with: logos-shift calls show"),
    "too_long": Reason("longer than --max-bytes", "raise --max-bytes"),
    "unclean": Reason("could not be redacted for sure", "look at one with: logos-shift calls show"),
    "duplicate": Reason("the same prompt stands in the edition already", "nothing is lost"),
    "near_duplicate": Reason("nearly the same as one in the edition", "raise --near, or leave it out"),
    "per_answer": Reason("its answer stands in the edition often enough", "raise --per-answer"),
    "limit": Reason("beyond --limit", "raise --limit"),
    "undecided": Reason("two answers to one prompt, and nobody said which is better", "give feedback on both"),
    "single": Reason("no second answer to its prompt, and no correction", "give corrections, or run a shadow or A/B"),
}
"""All there are; each is counted in an edition's manifest."""
