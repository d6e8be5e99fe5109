"""SAM and MetaCat behind one Protocol."""
