"""The `optbench` command, also as `python -m optbench`. Ctrl-C ends it quietly from its first import on."""

import sys


def main() -> None:
    """Run the command line, and exit with its code."""
    try:
        from optbench.worker.stop import remember_interrupts

        remember_interrupts()
        from optbench.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
