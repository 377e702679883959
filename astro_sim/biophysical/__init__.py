"""Biophysical models of astrocytes and tripartite synapses in Brian2: one mechanism a file, assembled by need."""
