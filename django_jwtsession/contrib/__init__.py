"""For sites that use other packages: nothing here is imported unless a site names it."""
