"""How often a law is tried where one example is cheap, or says little."""

from hypothesis import settings


def examples(times: int) -> settings:
    """``times`` as many as the profile in force."""
    return settings(max_examples=times * (settings.default or settings()).max_examples)
