/* The row hash of protocol.md 9: the sum modulo 2^128 over rows of XXH3-128 over (field id, canonical value) of each non-null leaf with its list and map
 * positions. Independent of row order, added columns, renames and widened types. It finds faults, not forgers. */
#ifndef WEIR_ENGINE_KERNEL_ROW_HASH_H
#define WEIR_ENGINE_KERNEL_ROW_HASH_H

#include "engine/vec/vector.h"

struct weir_row_hash { uint64_t low, high; uint64_t count; };

/* Adds the selected rows (NULL = all) of a flat batch with field ids. */
weir_status weir_row_hash_add(struct weir_row_hash *hash, const struct weir_batch *batch, const struct weir_selection *selection, struct weir_arena *scratch, struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_row_hash_merge(struct weir_row_hash *into, const struct weir_row_hash *from);
void weir_row_hash_print(const struct weir_row_hash *hash, char ret_text[33]); /* 32 hex digits, high first */
bool weir_row_hash_parse(const char *text, struct weir_row_hash *ret_hash);    /* count untouched */

#endif
