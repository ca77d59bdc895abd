"""The review page's server: results, least certain first, and what is decided on them."""
