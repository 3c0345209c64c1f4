"""`python -m x400`: run virtual gateways, and use the one that is running."""

from x400.cli import app

if __name__ == "__main__":
    app(prog_name="python -m x400")
