/* Values of a leaf into vectors: the loops that scans spend their time in. Rows without nulls are
 * written where they stay; with nulls, values are read dense and then parted. */
#include "formats/parquet/scan_int.h"

#include "engine/base/limits.h"

#include <string.h>

#define PADDING 64
#define STEP    32 /* bytes that a short string is copied in: buffers are padded for it */

static weir_status cut_off(const struct parquet_leaf_reader *leaf)
{
    return parquet_leaf_damaged(leaf, "fewer values than it says");
}

static size_t bitmap_size(size_t count)
{
    return (count + 511) / 512 * 64 + PADDING;
}

static bool is_bytes(const struct parquet_leaf_reader *leaf)
{
    return leaf->conversion == CONVERT_STRING || leaf->conversion == CONVERT_BINARY;
}

weir_status parquet_output_open(struct parquet_output *output, struct weir_arena *arena,
                                const struct parquet_leaf_reader *leaf, uint32_t capacity,
                                struct weir_vector *vector, struct weir_error *reterr)
{
    *vector = (struct weir_vector){.type = leaf->type, .kind = WEIR_FLAT};
    *output = (struct parquet_output){.arena = arena, .vector = vector, .capacity = capacity};
    if (leaf->type->id == WEIR_BOOLEAN)
        return weir_arena_zero(arena, bitmap_size(capacity), 1, &vector->values, reterr);
    if (!is_bytes(leaf))
        return weir_arena_alloc(arena, (size_t)capacity * leaf->width + PADDING, &vector->values,
                                reterr);
    return WEIR_OK; /* strings: by what the first page holds */
}

/* ---- fixed width
 * ------------------------------------------------------------------------------------------- */

static uint32_t highest(const uint32_t *indices, uint32_t count)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = indices[i] > most ? indices[i] : most;
    return most;
}

static weir_status read_indices(struct parquet_leaf_reader *leaf, uint32_t *indices, uint32_t count)
{
    if (!parquet_runs_read32(&leaf->indices, indices, count))
        return parquet_leaf_damaged(leaf, "indices are damaged");
    if (count && highest(indices, count) >= leaf->dictionary_count)
        return parquet_leaf_damaged(leaf, "an index beyond the dictionary");
    return WEIR_OK;
}

static void gather(const void *dictionary, const uint32_t *indices, uint32_t width, void *to,
                   uint32_t count)
{
    if (width == 8) {
        for (uint32_t i = 0; i < count; i++)
            ((uint64_t *)to)[i] = ((const uint64_t *)dictionary)[indices[i]];
    } else if (width == 4) {
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)to)[i] = ((const uint32_t *)dictionary)[indices[i]];
    } else if (width == 16) {
        for (uint32_t i = 0; i < count; i++)
            memcpy((uint8_t *)to + (size_t)i * 16,
                   (const uint8_t *)dictionary + (size_t)indices[i] * 16, 16);
    } else {
        for (uint32_t i = 0; i < count; i++)
            memcpy((uint8_t *)to + (size_t)i * width,
                   (const uint8_t *)dictionary + (size_t)indices[i] * width, width);
    }
}

static weir_status next_string(struct parquet_leaf_reader *leaf, struct weir_bytes *ret_bytes)
{
    if (leaf->mode == VALUES_LENGTHS) {
        uint32_t length;
        size_t rest = (size_t)(leaf->values_end - leaf->values);
        if (rest < 4)
            return cut_off(leaf);
        memcpy(&length, leaf->values, 4);
        if (length > rest - 4)
            return parquet_leaf_damaged(leaf, "a string longer than its page");
        *ret_bytes = (struct weir_bytes){leaf->values + 4, length};
        leaf->values += 4 + (size_t)length;
        return WEIR_OK;
    }
    if (leaf->mode != VALUES_ENDS || leaf->value_at >= leaf->value_count)
        return cut_off(leaf);
    const uint32_t *ends = (const uint32_t *)(const void *)leaf->ends.data;
    uint32_t start = leaf->value_at ? ends[leaf->value_at - 1] : 0;
    *ret_bytes = (struct weir_bytes){leaf->values + start, ends[leaf->value_at++] - start};
    return WEIR_OK;
}

static weir_status read_bytes_decimals(struct parquet_leaf_reader *leaf, uint8_t *to,
                                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct weir_bytes bytes;
        weir_int128 value;
        WEIR_TRY(next_string(leaf, &bytes));
        if (!parquet_decimal_from_bytes(bytes, &value))
            return parquet_leaf_damaged(leaf, "a decimal of more than 16 bytes");
        memcpy(to + (size_t)i * 16, &value, 16);
    }
    return WEIR_OK;
}

/* The next `count` values, dense, `width` bytes each (booleans a byte). */
static weir_status read_fixed(struct parquet_leaf_reader *leaf, void *to, uint32_t count)
{
    if (leaf->mode == VALUES_FIXED) {
        size_t size = (size_t)count * leaf->stored_width;
        if ((size_t)(leaf->values_end - leaf->values) < size)
            return cut_off(leaf);
        if (!parquet_convert(leaf->conversion, leaf->values, leaf->stored_width, to, count))
            return parquet_leaf_damaged(leaf, "a value beyond its type");
        leaf->values += size;
        return WEIR_OK;
    }
    if (leaf->mode == VALUES_INDEX) {
        uint32_t indices[1024];
        for (uint32_t done = 0; done < count;) {
            uint32_t here = count - done < 1024 ? count - done : 1024;
            WEIR_TRY(read_indices(leaf, indices, here));
            if (leaf->type->id == WEIR_BOOLEAN)
                for (uint32_t i = 0; i < here; i++)
                    ((uint8_t *)to)[done + i] = weir_bit_get(leaf->dictionary.values, indices[i]);
            else
                gather(leaf->dictionary.values, indices, leaf->width,
                       (uint8_t *)to + (size_t)done * leaf->width, here);
            done += here;
        }
        return WEIR_OK;
    }
    if (leaf->mode == VALUES_BITS) {
        if (leaf->value_count - leaf->value_at < count)
            return cut_off(leaf);
        for (uint32_t i = 0; i < count; i++)
            ((uint8_t *)to)[i] = weir_bit_get(leaf->values, leaf->value_at + i);
        leaf->value_at += count;
        return WEIR_OK;
    }
    if (leaf->mode == VALUES_RUNS)
        return parquet_runs_read8(&leaf->indices, to, count) ? WEIR_OK : cut_off(leaf);
    return leaf->conversion == CONVERT_BYTES_DECIMAL ? read_bytes_decimals(leaf, to, count)
                                                     : cut_off(leaf);
}

static weir_status room(struct parquet_leaf_reader *leaf, size_t size)
{
    weir_buffer_clear(&leaf->dense);
    return weir_buffer_reserve(&leaf->dense, size + PADDING, leaf->reterr);
}

/* dense[k] to where the k-th set bit is. Every slot is written, whichever value it gets: no branch.
 */
#define PART(width_type)                                                                           \
    for (uint32_t i = 0, k = 0; i < count; i++) {                                                  \
        memcpy((uint8_t *)to + (size_t)i * sizeof(width_type),                                     \
               dense + (size_t)k * sizeof(width_type), sizeof(width_type));                        \
        k += weir_bit_get(validity, at + i);                                                       \
    }

static void part(const uint8_t *dense, const uint8_t *validity, size_t at, uint32_t width, void *to,
                 uint32_t count)
{
    if (width == 8) {
        PART(uint64_t)
    } else if (width == 4) {
        PART(uint32_t)
    } else if (width == 16) {
        PART(weir_int128)
    } else {
        for (uint32_t i = 0, k = 0; i < count; i++)
            if (weir_bit_get(validity, at + i))
                memcpy((uint8_t *)to + (size_t)i * width, dense + (size_t)k++ * width, width);
    }
}

/* Rows [vector->count, + count), of which `values` are there (validity's bits, if fewer). */
static weir_status append_fixed(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                uint32_t count, uint32_t values)
{
    struct weir_vector *vector = output->vector;
    size_t at = vector->count;
    if (leaf->type->id == WEIR_BOOLEAN) {
        if (values == count && leaf->mode == VALUES_BITS) {
            if (leaf->value_count - leaf->value_at < count)
                return cut_off(leaf);
            parquet_bits_copy(vector->values, at, leaf->values, leaf->values_end, leaf->value_at,
                              count);
            leaf->value_at += count;
            return WEIR_OK;
        }
        WEIR_TRY(room(leaf, values));
        WEIR_TRY(read_fixed(leaf, leaf->dense.data, values));
        for (uint32_t i = 0, k = 0; i < count; i++)
            if ((values == count || weir_bit_get(vector->validity, at + i)) &&
                leaf->dense.data[k++])
                weir_bit_set(vector->values, at + i);
        return WEIR_OK;
    }
    uint8_t *to = (uint8_t *)vector->values + at * leaf->width;
    if (values == count)
        return read_fixed(leaf, to, count);
    WEIR_TRY(room(leaf, ((size_t)values + 1) * leaf->width));
    memset(leaf->dense.data + (size_t)values * leaf->width, 0, leaf->width);
    WEIR_TRY(read_fixed(leaf, leaf->dense.data, values));
    part(leaf->dense.data, vector->validity, at, leaf->width, to, count);
    return WEIR_OK;
}

/* ---- strings
 * -----------------------------------------------------------------------------------------------
 */

/* Room for `bytes` more of a flat string vector. */
static weir_status grow_bytes(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                              size_t bytes)
{
    struct weir_vector *vector = output->vector;
    size_t used = 0;
    if (!vector->offsets) {
        WEIR_TRY(weir_arena_alloc(output->arena, ((size_t)output->capacity + 1) * 4 + PADDING,
                                  &vector->offsets, leaf->reterr));
        vector->offsets[0] = 0;
    } else {
        used = (size_t)vector->offsets[vector->count];
    }
    if (used + bytes > WEIR_BATCH_BYTES_MAX)
        return weir_fail(leaf->reterr, WEIR_NO_MEMORY,
                         "%zu bytes of strings in one batch: ask for fewer rows", used + bytes);
    if (vector->values && used + bytes <= output->bytes_capacity)
        return WEIR_OK;
    size_t capacity = used ? (used + bytes) * 2 : bytes;
    uint8_t *values;
    WEIR_TRY(weir_arena_alloc(output->arena, capacity + PADDING, &values, leaf->reterr));
    if (used)
        memcpy(values, vector->values, used);
    vector->values = values;
    output->bytes_capacity = capacity;
    return WEIR_OK;
}

static inline void copy_short(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size <= STEP)
        memcpy(to, from, STEP);
    else
        memcpy(to, from, size);
}

static bool is_ascii(const uint8_t *bytes, size_t size)
{
    uint64_t any = 0, word;
    size_t at = 0;
    for (; at + 32 <= size; at += 32) /* compiles to vector instructions */
        for (size_t i = 0; i < 32; i += 8) {
            memcpy(&word, bytes + at + i, 8);
            any |= word;
        }
    for (; at < size; at++)
        any |= bytes[at];
    return (any & UINT64_C(0x8080808080808080)) == 0;
}

/* Strings that begin inside another's character would pass a check of all bytes together. */
static weir_status check_text(const struct parquet_leaf_reader *leaf, const uint8_t *bytes,
                              const int32_t *offsets, uint32_t count)
{
    size_t size = (size_t)(offsets[count] - offsets[0]);
    if (is_ascii(bytes + offsets[0], size))
        return WEIR_OK;
    bool good = weir_utf8_invalid(bytes + offsets[0], size) == size;
    for (uint32_t i = 0; good && i < count; i++)
        good = offsets[i] == offsets[count] || (bytes[offsets[i]] & 0xc0) != 0x80;
    return good ? WEIR_OK : parquet_leaf_damaged(leaf, "a string that is not UTF-8");
}

static weir_status measure_lengths(struct parquet_leaf_reader *leaf, uint32_t count,
                                   size_t *ret_bytes)
{
    const uint8_t *at = leaf->values, *end = leaf->values_end;
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length;
        if (end - at < 4)
            return cut_off(leaf);
        memcpy(&length, at, 4);
        if (length > (size_t)(end - at) - 4)
            return parquet_leaf_damaged(leaf, "a string longer than its page");
        at += 4 + (size_t)length;
        bytes += length;
    }
    *ret_bytes = bytes;
    return WEIR_OK;
}

static weir_status measure_ends(struct parquet_leaf_reader *leaf, uint32_t count, size_t *ret_bytes)
{
    const uint32_t *ends = (const uint32_t *)(const void *)leaf->ends.data;
    if (leaf->mode != VALUES_ENDS || leaf->value_count - leaf->value_at < count)
        return cut_off(leaf);
    uint32_t start = leaf->value_at ? ends[leaf->value_at - 1] : 0;
    *ret_bytes = count ? ends[leaf->value_at + count - 1] - start : 0;
    return WEIR_OK;
}

/* `count` strings that are there, measured and with room made: bytes and their ends. */
static void copy_lengths(struct parquet_leaf_reader *leaf, uint8_t *to, int32_t start,
                         int32_t *ends, uint32_t count)
{
    const uint8_t *at = leaf->values;
    uint8_t *into = to + start;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length;
        memcpy(&length, at, 4);
        copy_short(into, at + 4, length);
        into += length;
        at += 4 + (size_t)length;
        ends[i] = (int32_t)(into - to);
    }
    leaf->values = at;
}

static void copy_ends(struct parquet_leaf_reader *leaf, uint8_t *to, int32_t start, int32_t *ends,
                      uint32_t count, size_t bytes)
{
    const uint32_t *from = (const uint32_t *)(const void *)leaf->ends.data + leaf->value_at;
    uint32_t first = leaf->value_at ? from[-1] : 0;
    memcpy(to + start, leaf->values + first, bytes);
    for (uint32_t i = 0; i < count; i++)
        ends[i] = start + (int32_t)(from[i] - first);
    leaf->value_at += count;
}

/* Ends of the values to ends of the rows: a null ends where the one before it does. */
static void part_ends(int32_t *ends, const uint8_t *validity, size_t at, uint32_t count,
                      uint32_t values)
{
    /* In place from the back: a value's end never moves forward past one not yet read. */
    for (uint32_t i = count, k = values; i-- > 0;) {
        bool valid = weir_bit_get(validity, at + i);
        ends[i] = k ? ends[k - 1] : ends[-1];
        k -= valid;
    }
}

static weir_status append_plain_strings(struct parquet_leaf_reader *leaf,
                                        struct parquet_output *output, uint32_t count,
                                        uint32_t values)
{
    struct weir_vector *vector = output->vector;
    size_t bytes = 0;
    if (leaf->mode == VALUES_LENGTHS)
        WEIR_TRY(measure_lengths(leaf, values, &bytes));
    else
        WEIR_TRY(measure_ends(leaf, values, &bytes));
    WEIR_TRY(grow_bytes(leaf, output, bytes));
    int32_t *ends = vector->offsets + vector->count + 1, start = ends[-1];
    if (leaf->mode == VALUES_LENGTHS)
        copy_lengths(leaf, vector->values, start, ends, values);
    else
        copy_ends(leaf, vector->values, start, ends, values, bytes);
    if (leaf->conversion == CONVERT_STRING)
        WEIR_TRY(check_text(leaf, vector->values, ends - 1, values));
    if (values != count)
        part_ends(ends, vector->validity, vector->count, count, values);
    return WEIR_OK;
}

static weir_status append_gathered(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                   const uint32_t *indices, uint32_t count)
{
    struct weir_vector *vector = output->vector;
    const struct weir_vector *dictionary = &leaf->dictionary;
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += (size_t)(dictionary->offsets[indices[i] + 1] - dictionary->offsets[indices[i]]);
    WEIR_TRY(grow_bytes(leaf, output, bytes));
    int32_t *ends = vector->offsets + vector->count + 1, at = ends[-1];
    uint8_t *to = vector->values;
    for (uint32_t i = 0; i < count; i++) {
        int32_t start = dictionary->offsets[indices[i]],
                size = dictionary->offsets[indices[i] + 1] - start;
        copy_short(to + at, (const uint8_t *)dictionary->values + start, (size_t)size);
        at += size;
        ends[i] = at;
    }
    return WEIR_OK;
}

/* What was appended as indices becomes bytes; nulls get none. */
static weir_status flatten(struct parquet_leaf_reader *leaf, struct parquet_output *output)
{
    struct weir_vector *vector = output->vector;
    uint32_t count = vector->count, *indices = vector->indices, values = 0;
    vector->kind = WEIR_FLAT;
    vector->indices = NULL;
    vector->dictionary = NULL;
    vector->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        indices[values] = indices[i];
        values += !vector->validity || weir_bit_get(vector->validity, i);
    }
    WEIR_TRY(append_gathered(leaf, output, indices, values));
    if (values != count)
        part_ends(vector->offsets + 1, vector->validity, 0, count, values);
    vector->count = count;
    return WEIR_OK;
}

static weir_status append_indices(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                  uint32_t count, uint32_t values)
{
    struct weir_vector *vector = output->vector;
    if (!vector->indices) {
        WEIR_TRY(weir_arena_alloc(output->arena, (size_t)output->capacity * 4 + PADDING,
                                  &vector->indices, leaf->reterr));
        vector->kind = WEIR_DICTIONARY;
        vector->dictionary = &leaf->dictionary;
    }
    uint32_t *to = vector->indices + vector->count;
    if (values == count)
        return read_indices(leaf, to, count);
    WEIR_TRY(room(leaf, ((size_t)values + 1) * 4));
    uint32_t *dense = (uint32_t *)(void *)leaf->dense.data;
    WEIR_TRY(read_indices(leaf, dense, values));
    dense[values] = 0;
    part(leaf->dense.data, vector->validity, vector->count, 4, to, count);
    return WEIR_OK;
}

static weir_status append_strings(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                  uint32_t count, uint32_t values)
{
    struct weir_vector *vector = output->vector;
    if (leaf->mode == VALUES_INDEX && (vector->count == 0 || vector->kind == WEIR_DICTIONARY))
        return append_indices(leaf, output, count, values);
    if (vector->kind == WEIR_DICTIONARY)
        WEIR_TRY(flatten(leaf, output));
    if (leaf->mode != VALUES_INDEX)
        return append_plain_strings(leaf, output, count, values);
    WEIR_TRY(room(leaf, (size_t)values * 4));
    uint32_t *indices = (uint32_t *)(void *)leaf->dense.data;
    WEIR_TRY(read_indices(leaf, indices, values));
    WEIR_TRY(append_gathered(leaf, output, indices, values));
    if (values != count)
        part_ends(vector->offsets + vector->count + 1, vector->validity, vector->count, count,
                  values);
    return WEIR_OK;
}

/* ---- rows
 * --------------------------------------------------------------------------------------------------
 */

static weir_status append_values(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                 uint32_t count, uint32_t values)
{
    if (is_bytes(leaf))
        WEIR_TRY(append_strings(leaf, output, count, values));
    else
        WEIR_TRY(append_fixed(leaf, output, count, values));
    output->vector->count += count;
    output->vector->null_count += count - values;
    return WEIR_OK;
}

weir_status parquet_leaf_dense(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                               uint32_t count)
{
    return append_values(leaf, output, count, count);
}

/* Validity of the next `count` rows; without a null so far there is no bitmap. */
static weir_status read_validity(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                 uint32_t count, uint32_t *ret_values)
{
    struct weir_vector *vector = output->vector;
    size_t ones;
    *ret_values = count;
    if (leaf->node->definition == 0)
        return WEIR_OK;
    if (parquet_runs_same(&leaf->definition, 1, count)) {
        if (vector->validity)
            parquet_bits_fill(vector->validity, vector->count, count);
        return WEIR_OK;
    }
    if (!vector->validity) {
        WEIR_TRY(weir_arena_zero(output->arena, bitmap_size(output->capacity), 1, &vector->validity,
                                 leaf->reterr));
        parquet_bits_fill(vector->validity, 0, vector->count);
    }
    if (!parquet_runs_bits(&leaf->definition, vector->validity, vector->count, count, &ones))
        return parquet_leaf_damaged(leaf, "levels are damaged");
    *ret_values = (uint32_t)ones;
    return WEIR_OK;
}

weir_status parquet_values_skip(struct parquet_leaf_reader *leaf, uint64_t count)
{
    struct weir_bytes bytes;
    switch (leaf->mode) {
    case VALUES_NONE: return WEIR_OK;
    case VALUES_FIXED:
        if ((uint64_t)(leaf->values_end - leaf->values) / leaf->stored_width < count)
            return cut_off(leaf);
        leaf->values += count * leaf->stored_width;
        return WEIR_OK;
    case VALUES_BITS:
    case VALUES_ENDS:
        if (leaf->value_count - leaf->value_at < count)
            return cut_off(leaf);
        leaf->value_at += count;
        return WEIR_OK;
    case VALUES_LENGTHS:
        for (uint64_t i = 0; i < count; i++)
            WEIR_TRY(next_string(leaf, &bytes));
        return WEIR_OK;
    default: return parquet_runs_skip(&leaf->indices, count, 0, NULL) ? WEIR_OK : cut_off(leaf);
    }
}

/* Passes over rows of the page at hand. */
static weir_status skip_rows(struct parquet_leaf_reader *leaf, uint32_t count)
{
    size_t values = count;
    if (leaf->node->definition &&
        !parquet_runs_skip(&leaf->definition, count, leaf->node->definition, &values))
        return parquet_leaf_damaged(leaf, "levels are damaged");
    leaf->page_left -= count;
    return parquet_values_skip(leaf, values);
}

/* Comes to a page with rows, all that are to be skipped behind. */
static weir_status next_rows(struct parquet_leaf_reader *leaf)
{
    for (;;) {
        bool end;
        WEIR_TRY(parquet_leaf_page(leaf, &leaf->skip, &end));
        if (end)
            return weir_fail(leaf->reterr, WEIR_CORRUPT, "chunk at byte %llu: too few rows",
                             (unsigned long long)leaf->start);
        if (leaf->skip == 0)
            return WEIR_OK;
        uint32_t here = leaf->skip < leaf->page_left ? (uint32_t)leaf->skip : leaf->page_left;
        leaf->skip -= here;
        WEIR_TRY(skip_rows(leaf, here));
    }
}

weir_status parquet_leaf_append(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                uint32_t count)
{
    while (count) {
        uint32_t values;
        WEIR_TRY(next_rows(leaf));
        uint32_t here = count < leaf->page_left ? count : leaf->page_left;
        WEIR_TRY(read_validity(leaf, output, here, &values));
        WEIR_TRY(append_values(leaf, output, here, values));
        leaf->page_left -= here;
        count -= here;
    }
    return WEIR_OK;
}

weir_status parquet_output_close(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                 bool flat)
{
    struct weir_vector *vector = output->vector;
    if (vector->null_count == 0)
        vector->validity = NULL;
    if (!is_bytes(leaf))
        return WEIR_OK;
    /* Only nulls, of an empty dictionary: index 0 would lie outside. */
    if (vector->kind == WEIR_DICTIONARY && (flat || leaf->dictionary_count == 0))
        return flatten(leaf, output);
    if (vector->kind == WEIR_FLAT && !vector->offsets)
        return grow_bytes(leaf, output, 0);
    return WEIR_OK;
}

weir_status parquet_spread(struct weir_arena *arena, const struct weir_vector *dense,
                           struct weir_vector *vector, struct weir_error *reterr)
{
    uint32_t count = vector->count;
    uint32_t width = weir_type_width(vector->type);
    if (dense->count != count - vector->null_count)
        return weir_fail(reterr, WEIR_CORRUPT, "columns of one struct or list disagree");
    vector->values = dense->values;
    vector->offsets = dense->offsets;
    if (vector->null_count == 0)
        return WEIR_OK;
    if (vector->type->id == WEIR_BOOLEAN) {
        WEIR_TRY(weir_arena_zero(arena, bitmap_size(count), 1, &vector->values, reterr));
        for (uint32_t i = 0, k = 0; i < count; i++)
            if (weir_bit_get(vector->validity, i) && weir_bit_get(dense->values, k++))
                weir_bit_set(vector->values, i);
    } else if (width) { /* dense vectors are padded: one value behind the last may be read */
        WEIR_TRY(weir_arena_alloc(arena, (size_t)count * width + PADDING, &vector->values, reterr));
        part(dense->values, vector->validity, 0, width, vector->values, count);
    } else {
        WEIR_TRY(
            weir_arena_alloc(arena, ((size_t)count + 1) * 4 + PADDING, &vector->offsets, reterr));
        memcpy(vector->offsets, dense->offsets, ((size_t)dense->count + 1) * 4);
        part_ends(vector->offsets + 1, vector->validity, 0, count, dense->count);
    }
    return WEIR_OK;
}

/* ---- levels and values for nested columns
 * ------------------------------------------------------------------ */

struct taking {
    struct weir_arena *arena;
    uint8_t *definition, *repetition;
    size_t count, capacity;
    struct parquet_output output;
    struct weir_vector *values;
};

static weir_status grow_levels(struct parquet_leaf_reader *leaf, struct taking *taking, size_t more)
{
    if (taking->capacity - taking->count >= more)
        return WEIR_OK;
    size_t capacity = taking->capacity * 2 > taking->count + more ? taking->capacity * 2
                                                                  : taking->count + more;
    uint8_t *definition, *repetition = NULL;
    WEIR_TRY(weir_arena_alloc(taking->arena, capacity + PADDING, &definition, leaf->reterr));
    if (leaf->node->repeated)
        WEIR_TRY(weir_arena_alloc(taking->arena, capacity + PADDING, &repetition, leaf->reterr));
    if (taking->count) {
        memcpy(definition, taking->definition, taking->count);
        if (repetition)
            memcpy(repetition, taking->repetition, taking->count);
    }
    taking->definition = definition;
    taking->repetition = repetition;
    taking->capacity = capacity;
    return WEIR_OK;
}

/* How many values the output holds at most changes from page to page: its arrays grow with it. */
static weir_status grow_output(struct parquet_leaf_reader *leaf, struct taking *taking, size_t more)
{
    struct weir_vector *vector = taking->output.vector;
    size_t count = vector->count, need = count + more;
    if (need <= taking->output.capacity)
        return WEIR_OK;
    if (need > WEIR_LIST_ELEMENTS_MAX)
        return weir_fail(leaf->reterr, WEIR_NO_MEMORY,
                         "%zu elements in one batch: ask for fewer rows", need);
    size_t capacity = need < 2 * count ? 2 * count : need;
    struct weir_vector old = *vector;
    size_t bytes_capacity = taking->output.bytes_capacity;
    WEIR_TRY(parquet_output_open(&taking->output, taking->arena, leaf, (uint32_t)capacity, vector,
                                 leaf->reterr));
    if (leaf->width && count)
        memcpy(vector->values, old.values,
               leaf->type->id == WEIR_BOOLEAN ? (count + 7) / 8 : count * leaf->width);
    if (!leaf->width && old.offsets) {
        WEIR_TRY(weir_arena_alloc(taking->arena, (capacity + 1) * 4 + PADDING, &vector->offsets,
                                  leaf->reterr));
        memcpy(vector->offsets, old.offsets, (count + 1) * 4);
        vector->values = old.values;
        taking->output.bytes_capacity = bytes_capacity;
    }
    if (!leaf->width && old.indices) {
        WEIR_TRY(weir_arena_alloc(taking->arena, capacity * 4 + PADDING, &vector->indices,
                                  leaf->reterr));
        memcpy(vector->indices, old.indices, count * 4);
        vector->kind = WEIR_DICTIONARY;
        vector->dictionary = old.dictionary;
    }
    vector->count = (uint32_t)count;
    return WEIR_OK;
}

/* `slots` levels of the page at hand and the values among them. */
static weir_status take_slots(struct parquet_leaf_reader *leaf, struct taking *taking,
                              uint32_t slots)
{
    uint8_t greatest = leaf->node->definition;
    uint32_t values = slots;
    WEIR_TRY(grow_levels(leaf, taking, slots));
    if (leaf->node->repeated)
        memcpy(taking->repetition + taking->count, leaf->repetition.data + leaf->page_at, slots);
    if (greatest) {
        uint8_t *to = taking->definition + taking->count, most = 0;
        if (!parquet_runs_read8(&leaf->definition, to, slots))
            return parquet_leaf_damaged(leaf, "levels are damaged");
        values = 0;
        for (uint32_t i = 0; i < slots; i++) {
            most = to[i] > most ? to[i] : most;
            values += to[i] == greatest;
        }
        if (most > greatest)
            return parquet_leaf_damaged(leaf, "a level beyond the schema's");
    }
    taking->count += slots;
    leaf->page_at += slots;
    leaf->page_left -= slots;
    if (!leaf->type)
        return WEIR_OK;
    WEIR_TRY(grow_output(leaf, taking, values));
    return parquet_leaf_dense(leaf, &taking->output, values);
}

/* How many slots of the page belong to rows that are wanted. */
static weir_status row_slots(struct parquet_leaf_reader *leaf, uint64_t rows, uint64_t *started,
                             uint32_t *ret_slots)
{
    uint32_t slots = 0;
    if (!leaf->node->repeated) {
        slots = rows - *started < leaf->page_left ? (uint32_t)(rows - *started) : leaf->page_left;
        *started += slots;
        *ret_slots = slots;
        return WEIR_OK;
    }
    const uint8_t *levels = leaf->repetition.data + leaf->page_at;
    if (*started == 0 && leaf->page_left && levels[0] != 0)
        return parquet_leaf_damaged(leaf, "begins in the middle of a row");
    for (; slots < leaf->page_left; slots++) {
        if (levels[slots] != 0)
            continue;
        if (*started == rows)
            break;
        ++*started;
    }
    *ret_slots = slots;
    return WEIR_OK;
}

/* Passes over whole rows of a repeated leaf; what a page's header cannot tell is read. */
static weir_status skip_repeated(struct parquet_leaf_reader *leaf)
{
    uint64_t started = 0;
    for (;;) {
        bool end;
        uint32_t slots;
        uint64_t left = leaf->skip - started;
        WEIR_TRY(parquet_leaf_page(leaf, started == 0 ? &left : NULL, &end));
        if (started == 0)
            leaf->skip = left;
        if (leaf->skip == 0)
            return WEIR_OK;
        if (end) {
            if (started < leaf->skip)
                return weir_fail(leaf->reterr, WEIR_CORRUPT, "chunk at byte %llu: too few rows",
                                 (unsigned long long)leaf->start);
            break;
        }
        WEIR_TRY(row_slots(leaf, leaf->skip, &started, &slots));
        leaf->page_at += slots;
        WEIR_TRY(skip_rows(leaf, slots));
        if (leaf->page_left)
            break;
    }
    leaf->skip = 0;
    return WEIR_OK;
}

weir_status parquet_leaf_take(struct parquet_leaf_reader *leaf, struct weir_arena *arena,
                              uint64_t rows, struct parquet_taken *ret_taken)
{
    struct taking taking = {.arena = arena};
    uint64_t started = 0;
    ret_taken->values = (struct weir_vector){0};
    if (leaf->type)
        WEIR_TRY(parquet_output_open(&taking.output, arena, leaf, (uint32_t)rows,
                                     &ret_taken->values, leaf->reterr));
    if (leaf->skip && leaf->node->repeated)
        WEIR_TRY(skip_repeated(leaf));
    while (rows) {
        bool end = false;
        uint32_t slots;
        if (leaf->node->repeated)
            WEIR_TRY(parquet_leaf_page(leaf, NULL, &end));
        else if (started < rows)
            WEIR_TRY(next_rows(leaf));
        if (end && started < rows)
            return weir_fail(leaf->reterr, WEIR_CORRUPT, "chunk at byte %llu: too few rows",
                             (unsigned long long)leaf->start);
        if (end)
            break;
        WEIR_TRY(row_slots(leaf, rows, &started, &slots));
        WEIR_TRY(take_slots(leaf, &taking, slots));
        if (started == rows && (leaf->page_left || !leaf->node->repeated))
            break;
    }
    if (leaf->type)
        WEIR_TRY(parquet_output_close(leaf, &taking.output, true));
    ret_taken->definition = leaf->node->definition ? taking.definition : NULL;
    ret_taken->repetition = leaf->node->repeated ? taking.repetition : NULL;
    ret_taken->count = taking.count;
    return WEIR_OK;
}
