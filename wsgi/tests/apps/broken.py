def prepare():
    return 1 / 0


application = prepare()
