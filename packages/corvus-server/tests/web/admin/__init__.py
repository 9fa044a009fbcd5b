"""Tests of the administrator's pages."""
