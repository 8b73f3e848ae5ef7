"""asv's own statistics of one warm call, in its own process."""

from ._checkout import VERSION

_PREPARED = {}


class Warm:
    """Base: `prepare` makes the call; asv sets up again before every sample, so that it is kept."""

    timeout = 300
    version = VERSION
    number = 1
    warmup_time = 0
    repeat = (5, 100, 1.0)
    rounds = 1

    def setup(self, *params):
        key = type(self).__qualname__, *params
        if key not in _PREPARED:
            _PREPARED[key] = self.prepare(*params)
        self.call, self.number_of_call = _PREPARED[key], 0

    def next_call(self):
        self.number_of_call += 1
        self.call(self.number_of_call)
