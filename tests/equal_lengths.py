"""zip for tests."""


def zip_equal(*iterables):
    """The built-in zip with ``strict``, which Python 3.9 does not have."""
    lists = [list(iterable) for iterable in iterables]
    lengths = [len(one) for one in lists]
    assert len(set(lengths)) == 1, f'the lengths differ: {lengths}'
    return zip(*lists)
