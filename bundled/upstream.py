def mend():
    raise ImportError("todo")
