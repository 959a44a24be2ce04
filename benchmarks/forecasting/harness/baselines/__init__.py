"""Models that the library does not ship, because it is judged against them."""
