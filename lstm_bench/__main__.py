"""``python -m lstm_bench``: the command line without its script."""

from lstm_bench.cli.main import main

if __name__ == "__main__":
    main()
