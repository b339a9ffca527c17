"""Reads `exchange_records.detail` as docs/store.md describes it: a second reader, so that the description is known to be
enough."""

PARTS = (
    "provider model model_label key_label because status sent_us head_us ended_us bytes http tls peer input_tokens "
    "output_tokens cache_read_tokens cache_write_tokens reasoning_tokens usage_source cost_nanousd price_basis "
    "price_version response_id response_model service_tier marks error_source error_kind upstream_request_id resolve_us "
    "connect_us tls_us cache_write_1h_tokens image_input_tokens image_output_tokens audio_input_tokens "
    "audio_output_tokens web_searches estimated_input_tokens estimated_output_tokens"
).split()
TEXTS = set(
    "provider model model_label key_label because http tls peer usage_source price_basis price_version response_id "
    "response_model service_tier error_source error_kind upstream_request_id".split()
)
MARKS = {"partial": 1, "missing": 2, "unpriced": 4}


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        self.at += length
        return self.data[self.at - length : self.at]

    def varint(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7


def attempts(blob, words):
    """The attempts of one exchange, each with all parts; `words` has the texts by their numbers."""
    if blob is None:
        return []
    rest = Bytes(blob)
    assert rest.take(1) == b"\x01", "the version"
    rest.varint()  # calls of tools
    return [attempt(Bytes(rest.take(rest.varint())), words, n + 1) for n in range(rest.varint())]


def attempt(rest, words, n):
    there = rest.varint()
    row = {"n": n} | dict.fromkeys(PARTS)
    for bit, name in enumerate(PARTS):
        if there >> bit & 1:
            number = rest.varint()
            if name not in TEXTS:
                row[name] = number
            elif number & 1:
                row[name] = words[number >> 1]
            else:
                row[name] = rest.take(number >> 1).decode()
    row["model_label"] = row["model_label"] or row["model"]
    return row | {name: int((row["marks"] or 0) & mark != 0) for name, mark in MARKS.items()}
