#!/usr/bin/env python3
"""Writes the table of 128-bit powers of ten that text_number.c needs: five to the power q for q in [-342, 308], as the top
128 bits, truncated for q >= 0 and rounded up for q < 0 (Lemire, "Number Parsing at a Gigabyte per Second", section 5)."""
import sys


def top_128_bits(q):
    if q >= 0:
        value = 5 ** q
        shift = value.bit_length() - 128
        return value >> shift if shift > 0 else value << -shift
    power = 5 ** -q
    size = power.bit_length()
    bits = size + 127 if q >= -27 else 2 * size + 128
    value = (1 << bits) // power + 1
    while value.bit_length() > 128:
        value >>= 1
    return value


def main():
    with open(sys.argv[1], "w") as out:
        out.write("/* Made by text_powers.py at build time. {high, low} of 5^q, q from -342. */\n")
        for q in range(-342, 309):
            value = top_128_bits(q)
            assert value.bit_length() == 128
            out.write("{0x%016xu, 0x%016xu},\n" % (value >> 64, value & (1 << 64) - 1))


main()
