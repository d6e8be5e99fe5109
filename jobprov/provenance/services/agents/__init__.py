"""Programs that submit and watch jobs under an account of their own."""
