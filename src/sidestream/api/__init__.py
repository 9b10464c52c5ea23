"""The REST API: the 2010-04-01 resources in the shapes that the published client libraries expect.

`routes.create_api` is the door. The room checks forms and renders resources; what happens is decided by `calls.front`.
"""
