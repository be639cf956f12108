"""The HTTP interface: a file per resource, each a list of endpoints that the routes and the OpenAPI document share."""
