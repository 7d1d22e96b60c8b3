"""The service that reads, keeps corrections and learns from them: `netchu serve`.

Uploads, a batching queue, the store of corrections, retraining in a process of its own, versions, HTTP, the web page.
"""
