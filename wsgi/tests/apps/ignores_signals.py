"""As `pages`, and it takes the signals of the process at its import."""
import signal

from pages import application

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
