"""The report of a campaign as text and as a page that prints, and the mail that carries both."""
