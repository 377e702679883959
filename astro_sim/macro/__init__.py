"""The macro model: rate neurons, synapses and astrocyte processes with fast (STP) and slow (LTP) calcium."""
