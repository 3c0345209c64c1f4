"""AMQP 1.0 values to bytes and back, with their AMQP types kept (AMQP 1.0 part 1)."""

from emulator.amqp.decoding import DecodeError, decode, list_fields, map_items, skip
from emulator.amqp.encoding import encode, encode_map

__all__ = ["DecodeError", "decode", "encode", "encode_map", "list_fields", "map_items", "skip"]
