/* The row hash, a column at a time: sizes of all rows of a block first, then each leaf writes its
 * part of every row, and last each row's bytes, which now lie side by side, are hashed. A block
 * fits in the cache. */
#include "engine/kernel/row_hash.h"

#include "engine/base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define BLOCK_ROWS     128
#define PATH_MAX_NODES (WEIR_SCHEMA_DEPTH_MAX + 2)

/* A leaf and the vectors from the batch down to it. */
struct leaf {
    int32_t id;
    uint32_t depth;
    const struct weir_vector *path[PATH_MAX_NODES];
};

/* Values of a leaf in a block. With `rows` NULL, entry i is row first + i of the leaf and of block
 * row i. */
struct entries {
    uint32_t count, first;
    uint32_t *rows, *owners;             /* row of the vector; row of the block */
    uint32_t *positions[PATH_MAX_NODES]; /* one array for each list above */
    uint32_t position_count;
};

struct collect {
    struct leaf *leaves;
    uint32_t count;
    const struct weir_vector *path[PATH_MAX_NODES];
    struct weir_error *reterr;
};

static uint32_t leaf_count(const struct weir_type *type)
{
    uint32_t count = !weir_type_is_nested(type->id);
    for (uint32_t i = 0; i < type->child_count; i++)
        count += leaf_count(&type->children[i].type);
    return count;
}

static weir_status collect_leaves(struct collect *collect, const struct weir_field *field,
                                  const struct weir_vector *vector, uint32_t depth)
{
    if (depth >= PATH_MAX_NODES)
        return weir_fail(collect->reterr, WEIR_UNSUPPORTED, "column %s: nested deeper than %d",
                         field->name, WEIR_SCHEMA_DEPTH_MAX);
    if (vector->kind != WEIR_FLAT)
        return weir_fail(collect->reterr, WEIR_INTERNAL,
                         "column %s: row hashes are of flat vectors", field->name);
    collect->path[depth] = vector;
    if (!weir_type_is_nested(field->type.id)) {
        struct leaf *leaf = &collect->leaves[collect->count++];
        leaf->id = field->id;
        leaf->depth = depth + 1;
        memcpy(leaf->path, collect->path, leaf->depth * sizeof *leaf->path);
        return WEIR_OK;
    }
    for (uint32_t i = 0; i < field->type.child_count; i++)
        WEIR_TRY(
            collect_leaves(collect, &field->type.children[i], &vector->children[i], depth + 1));
    return WEIR_OK;
}

static int compare_leaves(const void *a, const void *b)
{
    int32_t x = ((const struct leaf *)a)->id, y = ((const struct leaf *)b)->id;
    return (x > y) - (x < y);
}

/* ---- entries
 * ---------------------------------------------------------------------------------------------------
 */

static weir_status entries_alloc(struct weir_arena *scratch, size_t count, uint32_t positions,
                                 struct entries *entries, struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_alloc(scratch, (count + 1) * sizeof(uint32_t), &entries->rows, reterr));
    WEIR_TRY(weir_arena_alloc(scratch, (count + 1) * sizeof(uint32_t), &entries->owners, reterr));
    for (uint32_t p = 0; p < positions; p++)
        WEIR_TRY(weir_arena_alloc(scratch, (count + 1) * sizeof(uint32_t), &entries->positions[p],
                                  reterr));
    entries->position_count = positions;
    return WEIR_OK;
}

static uint32_t entry_row(const struct entries *entries, uint32_t at)
{
    return entries->rows ? entries->rows[at] : entries->first + at;
}
static uint32_t entry_owner(const struct entries *entries, uint32_t at)
{
    return entries->rows ? entries->owners[at] : at;
}

static weir_status drop_nulls(struct weir_arena *scratch, const struct weir_vector *vector,
                              struct entries *entries, struct weir_error *reterr)
{
    struct entries out = {0};
    if (!vector->validity)
        return WEIR_OK;
    WEIR_TRY(entries_alloc(scratch, entries->count, entries->position_count, &out, reterr));
    for (uint32_t i = 0; i < entries->count; i++) {
        uint32_t row = entry_row(entries, i);
        if (!weir_bit_get(vector->validity, row))
            continue;
        out.rows[out.count] = row;
        out.owners[out.count] = entry_owner(entries, i);
        for (uint32_t p = 0; p < out.position_count; p++)
            out.positions[p][out.count] = entries->positions[p][i];
        out.count++;
    }
    *entries = out;
    return WEIR_OK;
}

static weir_status expand_list(struct weir_arena *scratch, const struct weir_vector *list,
                               struct entries *entries, struct weir_error *reterr)
{
    struct entries out = {0};
    size_t total = 0;
    for (uint32_t i = 0; i < entries->count; i++) {
        uint32_t row = entry_row(entries, i);
        total += (size_t)(list->offsets[row + 1] - list->offsets[row]);
    }
    if (total > UINT32_MAX / 2)
        return weir_fail(reterr, WEIR_NO_MEMORY, "%zu list elements in one batch", total);
    WEIR_TRY(entries_alloc(scratch, total, entries->position_count + 1, &out, reterr));
    for (uint32_t i = 0; i < entries->count; i++) {
        uint32_t row = entry_row(entries, i), owner = entry_owner(entries, i);
        for (int32_t at = list->offsets[row]; at < list->offsets[row + 1]; at++, out.count++) {
            out.rows[out.count] = (uint32_t)at;
            out.owners[out.count] = owner;
            for (uint32_t p = 0; p < entries->position_count; p++)
                out.positions[p][out.count] = entries->positions[p][i];
            out.positions[entries->position_count][out.count] = (uint32_t)(at - list->offsets[row]);
        }
    }
    *entries = out;
    return WEIR_OK;
}

/* Where the leaf before this one stood after each node of its path: leaves of one struct or list
 * share what is above them. */
struct trail {
    const struct leaf *leaf; /* NULL: none yet */
    struct entries after[PATH_MAX_NODES];
};

static weir_status leaf_entries(struct weir_arena *scratch, const struct leaf *leaf,
                                struct trail *trail, struct entries *entries,
                                struct weir_error *reterr)
{
    uint32_t shared = 0;
    while (trail->leaf && shared < leaf->depth && shared < trail->leaf->depth &&
           leaf->path[shared] == trail->leaf->path[shared])
        shared++;
    if (shared)
        *entries = trail->after[shared - 1];
    for (uint32_t d = shared; d < leaf->depth; d++) {
        const struct weir_vector *vector = leaf->path[d];
        WEIR_TRY(drop_nulls(scratch, vector, entries, reterr));
        if (vector->type->id == WEIR_LIST || vector->type->id == WEIR_MAP)
            WEIR_TRY(expand_list(scratch, vector, entries, reterr));
        trail->after[d] = *entries;
    }
    trail->leaf = leaf;
    return WEIR_OK;
}

/* ---- values
 * ----------------------------------------------------------------------------------------------------
 */

static uint32_t canonical_width(const struct weir_type *type)
{
    switch (type->id) {
    case WEIR_BOOLEAN: return 1;
    case WEIR_DECIMAL:
    case WEIR_UUID: return 16;
    case WEIR_FIXED: return type->length;
    case WEIR_STRING:
    case WEIR_BINARY: return 4;
    default: return 8;
    }
}

static uint64_t canonical_double(double value)
{
    uint64_t bits = 0x7ff8000000000000u;
    if (value == 0)
        return 0;
    if (value == value)
        memcpy(&bits, &value, 8);
    return bits;
}

static void add_sizes(const struct weir_vector *vector, const struct entries *entries,
                      size_t *sizes)
{
    bool text = vector->type->id == WEIR_STRING || vector->type->id == WEIR_BINARY;
    size_t each = 4 + 4 * (size_t)entries->position_count + canonical_width(vector->type);
    for (uint32_t i = 0; i < entries->count; i++) {
        uint32_t row = entry_row(entries, i);
        sizes[entry_owner(entries, i)] +=
            each + (text ? (size_t)(vector->offsets[row + 1] - vector->offsets[row]) : 0);
    }
}

/* Texts are short: what a call of memcpy costs is more than the bytes. */
static inline void copy_text(uint8_t *to, const uint8_t *from, uint32_t size)
{
    if (size > 32) {
        memcpy(to, from, size);
    } else if (size >= 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else if (size) {
        to[0] = from[0];
        to[size / 2] = from[size / 2];
        to[size - 1] = from[size - 1];
    }
}

/* One value's canonical bytes; returns the byte behind. The type is a constant where it is called:
 * a loop for each. */
static inline __attribute__((always_inline)) uint8_t *put_value(const struct weir_vector *vector,
                                                                enum weir_type_id type,
                                                                uint32_t row, uint8_t *to)
{
    const uint8_t *values = vector->values;
    uint64_t word;
    switch (type) {
    case WEIR_BOOLEAN: *to = weir_bit_get(values, row); return to + 1;
    case WEIR_INT:
    case WEIR_DATE: word = (uint64_t)(int64_t)((const int32_t *)vector->values)[row]; break;
    case WEIR_FLOAT: word = canonical_double(((const float *)vector->values)[row]); break;
    case WEIR_DOUBLE: word = canonical_double(((const double *)vector->values)[row]); break;
    case WEIR_DECIMAL:
    case WEIR_UUID: memcpy(to, values + (size_t)row * 16, 16); return to + 16;
    case WEIR_FIXED:
        memcpy(to, values + (size_t)row * vector->type->length, vector->type->length);
        return to + vector->type->length;
    case WEIR_STRING:
    case WEIR_BINARY: {
        uint32_t size = (uint32_t)(vector->offsets[row + 1] - vector->offsets[row]);
        memcpy(to, &size, 4);
        copy_text(to + 4, values + vector->offsets[row], size);
        return to + 4 + size;
    }
    default: word = ((const uint64_t *)vector->values)[row];
    }
    memcpy(to, &word, 8);
    return to + 8;
}

static inline __attribute__((always_inline)) void write_typed(const struct leaf *leaf,
                                                              const struct entries *entries,
                                                              enum weir_type_id type,
                                                              uint8_t **cursors)
{
    const struct weir_vector *vector = leaf->path[leaf->depth - 1];
    const int32_t id = leaf->id;
    const uint32_t lists = entries->position_count, first = entries->first;
    if (!entries->rows) {
        for (uint32_t i = 0; i < entries->count; i++) {
            memcpy(cursors[i], &id, 4);
            cursors[i] = put_value(vector, type, first + i, cursors[i] + 4);
        }
        return;
    }
    for (uint32_t i = 0; i < entries->count; i++) {
        uint8_t *to = cursors[entries->owners[i]];
        memcpy(to, &id, 4);
        to += 4;
        for (uint32_t p = 0; p < lists; p++, to += 4)
            memcpy(to, &entries->positions[p][i], 4);
        cursors[entries->owners[i]] = put_value(vector, type, entries->rows[i], to);
    }
}

static void write_values(const struct leaf *leaf, const struct entries *entries, uint8_t **cursors)
{
    enum weir_type_id type = leaf->path[leaf->depth - 1]->type->id;
    switch (type) {
    case WEIR_STRING:
    case WEIR_BINARY: write_typed(leaf, entries, WEIR_STRING, cursors); break;
    case WEIR_INT:
    case WEIR_DATE: write_typed(leaf, entries, WEIR_INT, cursors); break;
    case WEIR_DOUBLE: write_typed(leaf, entries, WEIR_DOUBLE, cursors); break;
    case WEIR_BOOLEAN: write_typed(leaf, entries, WEIR_BOOLEAN, cursors); break;
    case WEIR_LONG:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: write_typed(leaf, entries, WEIR_LONG, cursors); break;
    default: write_typed(leaf, entries, type, cursors);
    }
}

/* ---- blocks
 * ----------------------------------------------------------------------------------------------------
 */

static weir_status hash_block(struct weir_row_hash *hash, const struct leaf *leaves,
                              uint32_t leaf_total, uint32_t first, uint32_t count,
                              const uint32_t *selected, struct weir_arena *scratch,
                              struct weir_error *reterr)
{
    struct entries *entries;
    struct trail trail = {.leaf = NULL};
    size_t sizes[BLOCK_ROWS] = {0}, total = 0;
    uint8_t *cursors[BLOCK_ROWS], *bytes;
    WEIR_TRY(weir_arena_zero(scratch, leaf_total, sizeof *entries, &entries, reterr));
    for (uint32_t l = 0; l < leaf_total; l++) {
        entries[l].first = first;
        if (selected) {
            WEIR_TRY(entries_alloc(scratch, count, 0, &entries[l], reterr));
            memcpy(entries[l].rows, selected + first, count * sizeof *selected);
            for (uint32_t i = 0; i < count; i++)
                entries[l].owners[i] = i;
        }
        entries[l].count = count;
        WEIR_TRY(leaf_entries(scratch, &leaves[l], &trail, &entries[l], reterr));
        add_sizes(leaves[l].path[leaves[l].depth - 1], &entries[l], sizes);
    }
    for (uint32_t i = 0; i < count; i++)
        total += sizes[i];
    WEIR_TRY(weir_arena_alloc(scratch, total + 1, &bytes, reterr));
    uint8_t *at = bytes;
    for (uint32_t i = 0; i < count; i++) {
        cursors[i] = at;
        at += sizes[i];
    }
    for (uint32_t l = 0; l < leaf_total; l++)
        write_values(&leaves[l], &entries[l], cursors);
    for (uint32_t i = 0; i < count; i++) {
        XXH128_hash_t row = XXH3_128bits(cursors[i] - sizes[i], sizes[i]);
        hash->low += row.low64;
        hash->high += row.high64 + (hash->low < row.low64);
    }
    hash->count += count;
    return WEIR_OK;
}

weir_status weir_row_hash_add(struct weir_row_hash *hash, const struct weir_batch *batch,
                              const struct weir_selection *selection, struct weir_arena *scratch,
                              struct weir_error *reterr)
{
    struct collect collect = {.reterr = reterr};
    struct weir_row_hash sum = *hash;
    uint32_t count = selection ? selection->count : batch->count;
    WEIR_TRY(weir_arena_zero(scratch, (size_t)leaf_count(batch->type) + 1, sizeof *collect.leaves,
                             &collect.leaves, reterr));
    for (uint32_t i = 0; i < batch->type->child_count; i++)
        WEIR_TRY(collect_leaves(&collect, &batch->type->children[i], &batch->columns[i], 0));
    if (collect.count)
        qsort(collect.leaves, collect.count, sizeof *collect.leaves, compare_leaves);
    struct weir_arena block; /* the same bytes for each: they stay in the cache */
    weir_status status = WEIR_OK;
    weir_arena_init(&block, scratch->account);
    for (uint32_t at = 0; at < count && status == WEIR_OK; at += BLOCK_ROWS) {
        uint32_t here = count - at < BLOCK_ROWS ? count - at : BLOCK_ROWS;
        status = hash_block(&sum, collect.leaves, collect.count, at, here,
                            selection ? selection->rows : NULL, &block, reterr);
        weir_arena_reset(&block);
    }
    weir_arena_done(&block);
    if (status == WEIR_OK)
        *hash = sum;
    return status;
}

void weir_row_hash_merge(struct weir_row_hash *into, const struct weir_row_hash *from)
{
    into->low += from->low;
    into->high += from->high + (into->low < from->low);
    into->count += from->count;
}

void weir_row_hash_print(const struct weir_row_hash *hash, char ret_text[33])
{
    snprintf(ret_text, 33, "%016llx%016llx", (unsigned long long)hash->high,
             (unsigned long long)hash->low);
}

bool weir_row_hash_parse(const char *text, struct weir_row_hash *ret_hash)
{
    uint64_t halves[2] = {0, 0};
    for (int i = 0; i < 32; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        halves[i / 16] = halves[i / 16] << 4 | (uint64_t)digit;
    }
    if (text[32])
        return false;
    ret_hash->high = halves[0];
    ret_hash->low = halves[1];
    return true;
}
