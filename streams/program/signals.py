"""
The signals that end a program: after any of them it finishes the work at hand and ends with exit code 0.
"""

import signal


def ending_signals() -> tuple[signal.Signals, ...]:
    """
    Return SIGTERM, SIGINT and SIGHUP, which a closed terminal sends.

    A SIGHUP that is ignored is not among them: `nohup` has it ignored so that the program outlives its terminal.
    """
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hangup)
