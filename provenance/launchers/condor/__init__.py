"""HTCondor: jobs launched, and what its tools and logs tell about them."""
