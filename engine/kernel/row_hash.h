/* The row hash of protocol.md 9: the sum modulo 2^128 over rows of XXH3-128 over (field id,
 * canonical value) of each non-null leaf with its list and map positions. Independent of row order,
 * added columns, renames and widened types. It finds faults, not forgers.
 *
 * Exactly: a row's hash is XXH3-128 (seed 0) of the bytes below, put together for every non-null
 * leaf value, leaves in ascending order of field id, values of one leaf in ascending order of
 * position. All numbers are little endian. int32   field id of the leaf (a list's element, a map's
 * key and value have ids of their own) uint32  for each list or map above the leaf, the outermost
 * first: the element's position, from 0 value: boolean                            one byte, 0 or 1
 *     int, long, date, time, timestamps  int64: as stored, in days or microseconds
 *     float, double                      the double's 8 bytes; -0 as +0, every NaN as
 * 0x7ff8000000000000 decimal                            int128: the unscaled value uuid, fixed the
 * bytes string, binary                     uint32 length, then the bytes A value below a null
 * struct, list or map does not exist. So null and empty lists are alike, as are null structs and
 * structs of nulls: leaves are all that is hashed. A row without any value hashes the empty bytes.
 * Printed: 32 hex digits of the sum, the high half first. */
#ifndef WEIR_ENGINE_KERNEL_ROW_HASH_H
#define WEIR_ENGINE_KERNEL_ROW_HASH_H

#include "engine/vec/vector.h"

struct weir_row_hash {
    uint64_t low, high;
    uint64_t count;
};

/* Adds the selected rows (NULL = all) of a flat batch with field ids. */
weir_status weir_row_hash_add(struct weir_row_hash *hash, const struct weir_batch *batch,
                              const struct weir_selection *selection, struct weir_arena *scratch,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_row_hash_merge(struct weir_row_hash *into, const struct weir_row_hash *from);
void weir_row_hash_print(const struct weir_row_hash *hash,
                         char ret_text[33]); /* 32 hex digits, high first */
bool weir_row_hash_parse(const char *text, struct weir_row_hash *ret_hash); /* count untouched */

#endif
