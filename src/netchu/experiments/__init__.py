"""Many runs: lists, reports, the registry, searches over config fields."""
