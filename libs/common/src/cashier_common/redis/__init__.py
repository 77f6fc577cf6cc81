"""Hints in Redis or Valkey: they make an answer faster and never decide one."""
