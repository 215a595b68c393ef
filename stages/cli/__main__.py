"""`python -m stages.cli` is `tagmask`."""

from stages.cli.app import main

if __name__ == "__main__":
    main()
