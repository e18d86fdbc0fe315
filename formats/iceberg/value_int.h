/* Single values as bytes (spec: Appendix D), for manifests and transforms. */
#ifndef WEIR_FORMATS_ICEBERG_VALUE_INT_H
#define WEIR_FORMATS_ICEBERG_VALUE_INT_H

#include "engine/base/text.h"
#include "engine/vec/vector.h"

/* Big-endian two's complement of the fewest bytes (1..16), at the end of out; returns how many. */
size_t value_decimal_bytes(weir_int128 unscaled, uint8_t out[16]);
/* The other way; size 1..16. */
weir_int128 value_decimal(const uint8_t *bytes, size_t size);
/* A whole number of 4 or 8 bytes little endian: values written before a column was widened have 4.
 */
bool value_integer(const struct weir_bytes *bytes, int64_t *ret_value);
bool value_real(const struct weir_bytes *bytes, double *ret_value);
/* Order of two values of a type; bytes of a wrong size sort by memcmp. */
int value_compare(const struct weir_type *type, const struct weir_bytes *a,
                  const struct weir_bytes *b);
/* Bytes of the Avro fixed that holds a decimal of that precision. */
size_t value_decimal_width(int precision);

#endif
