"""Sessions of other engines that move in (MIGRATE_FROM), and ours that move out (MIGRATE_TO)."""
