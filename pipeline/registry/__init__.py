"""Model bundles of a site, each in a folder that is named by its digest."""
