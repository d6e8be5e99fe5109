"""How long production will take, learnt from units that are done."""
