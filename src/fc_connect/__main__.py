"""`python -m fc_connect`."""

from fc_connect.cli.main import main

if __name__ == "__main__":
    main()
