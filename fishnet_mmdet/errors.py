"""The one exception type of the package."""


class FishNetError(ValueError):
    """A wrong argument, config, data set, checkpoint or environment.

    Its message alone says what is wrong, where, and what to do: the commands in ``tools/`` print it and stop, without a
    stack trace.
    """
