"""The virtual X400: a gateway as it behaves, without its hardware.

`core` is the Iomote Core: `store` and `outbox` keep messages, `delivery` publishes them over
`link` while `cloud` holds the connection, `inbox` takes user messages, `twin` the properties.
`app` is the Arduino library on top of it, `demo` a sketch, `gateway` the whole device, `cli`
and `control` are how a person uses one that runs.
"""
