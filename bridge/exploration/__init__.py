"""The law as the simulation's parameters move: what moves it, which parameters come near to one, a law a point."""
