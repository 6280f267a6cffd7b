"""DVC: the only folder that knows it.

DVC's own configuration decides where the cache is, how files are linked and which remote there
is. Nothing here takes DVC's repository lock.
"""
