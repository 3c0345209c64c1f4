"""What MyMote costs: `python -m bench` measures it on a local stack of its own."""
