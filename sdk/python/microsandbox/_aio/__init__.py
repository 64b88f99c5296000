"""The asyncio surface. ../sync is made of these files by tools/make_sync.py."""
