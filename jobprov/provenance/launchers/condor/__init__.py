"""HTCondor: launches jobs, and reads what its tools and logs report about them."""
