"""Webmail: folders, lists, reading, writing."""
