"""A server: recognition over HTTP. No torch.

running      listening, and stopping without losing what was accepted
connections  the head of a request: short, and soon
settings     of a server
app          the application: routes, errors, and the gateway around them
gateway      what every request passes: id, size, time
service      what all routes share: keys, rates, threads
keys         who may do what
limiting     requests a second, pixels at a time
galleries    the open galleries, and the models behind them
handover     another gallery takes the place of one that is open
batching     images of several requests in one call of the model
uploads      the images of a request
forms        the parts of a form
recognising  routes: embed, search, verify
explaining   the route that says why an image matches
enrolling    the route that enrols
enrolled     routes: what is enrolled
correcting   routes: names, metadata, quarantine
removing     routes: identities and templates that go
web_page     the page at /
state        routes: health, readiness, metrics, calibration
problems     errors in one shape
examples     of answers, for the OpenAPI
audit_log    who did what
metrics      what is counted
"""
