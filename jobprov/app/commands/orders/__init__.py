"""Commands for workflows, retries and the programs that submit and watch."""
