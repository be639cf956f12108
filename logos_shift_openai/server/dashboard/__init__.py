"""The dashboard: static pages whose data comes from the API, served from the package; see `pages`."""
