"""What every backend of one kind must do: a test class per kind, which backends' tests inherit."""
