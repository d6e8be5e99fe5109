"""Where jobs run: HTCondor and this machine, behind one Protocol."""
