/* Rows as bytes: the layout, and columns in and out of it. Loops run a column at a time, so that
 * the type is looked at once. Nested values are in row_nested.c, the store of rows in row_store.c.
 */
#include "engine/exec/row_int.h"

#include "engine/base/text.h"

#include <string.h>

#define ROW_SIZE_MAX (1u << 30)

static uint32_t align8(uint32_t size)
{
    return (size + 7) & ~7u;
}

bool row_type_variable(const struct weir_type *type)
{
    return type->id == WEIR_STRING || type->id == WEIR_BINARY || weir_type_is_nested(type->id);
}

static uint32_t slot_width(const struct weir_type *type)
{
    if (row_type_variable(type))
        return 8;
    return type->id == WEIR_BOOLEAN ? 1 : weir_type_width(type);
}

weir_status weir_row_layout_init(struct weir_arena *arena, const struct weir_type *types,
                                 uint32_t count, uint32_t header_size, bool canonical,
                                 struct weir_row_layout *ret_layout, struct weir_error *reterr)
{
    struct weir_row_layout layout = {.types = types,
                                     .count = count,
                                     .header_size = header_size,
                                     .key_offset = header_size,
                                     .canonical = canonical};
    uint64_t at = header_size;
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *layout.slots, &layout.slots, reterr));
    for (uint32_t i = 0; i < count; i++)
        layout.variable |= row_type_variable(&types[i]);
    at += layout.variable ? 4 : 0;
    layout.null_offset = (uint32_t)at;
    at += (count + 7) / 8;
    for (uint32_t i = 0; i < count; i++) {
        layout.slots[i] = (uint32_t)at;
        at += slot_width(&types[i]);
        if (at > ROW_SIZE_MAX)
            return weir_fail(reterr, WEIR_NO_MEMORY, "a row of %u columns takes more than %u bytes",
                             count, ROW_SIZE_MAX);
    }
    layout.fixed_size = at ? align8((uint32_t)at) : 8; /* a row of nothing still has a place */
    *ret_layout = layout;
    return WEIR_OK;
}

/* ---- sizes ---- */

static weir_status too_large(uint64_t size, struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_NO_MEMORY, "a row of %llu bytes: more than %u cannot be held",
                     (unsigned long long)size, ROW_SIZE_MAX);
}

static weir_status sizes_of_bytes(const struct weir_vector *column, const uint32_t *rows,
                                  uint32_t count, uint32_t *sizes, struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(column);
    const int32_t *offsets = lane.flat->offsets;
    uint32_t highest = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        if (!weir_lane_valid(&lane, row))
            continue;
        uint32_t at = weir_lane(&lane, row);
        sizes[i] += (uint32_t)(offsets[at + 1] - offsets[at]);
        highest = sizes[i] > highest ? sizes[i] : highest;
    }
    return highest > ROW_SIZE_MAX ? too_large(highest, reterr) : WEIR_OK;
}

static weir_status sizes_of_nested(const struct weir_vector *column, const uint32_t *rows,
                                   uint32_t count, uint32_t *sizes, struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(column);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        if (!weir_lane_valid(&lane, row))
            continue;
        uint64_t size = sizes[i] + row_nested_size(lane.flat, weir_lane(&lane, row));
        if (size > ROW_SIZE_MAX)
            return too_large(size, reterr);
        sizes[i] = (uint32_t)size;
    }
    return WEIR_OK;
}

weir_status weir_rows_size(const struct weir_row_layout *layout, const struct weir_vector *columns,
                           const uint32_t *rows, uint32_t count, uint32_t *ret_sizes,
                           struct weir_error *reterr)
{
    for (uint32_t i = 0; i < count; i++)
        ret_sizes[i] = layout->fixed_size;
    if (!layout->variable)
        return WEIR_OK;
    for (uint32_t c = 0; c < layout->count; c++) {
        if (weir_type_is_nested(layout->types[c].id))
            WEIR_TRY(sizes_of_nested(&columns[c], rows, count, ret_sizes, reterr));
        else if (row_type_variable(&layout->types[c]))
            WEIR_TRY(sizes_of_bytes(&columns[c], rows, count, ret_sizes, reterr));
    }
    for (uint32_t i = 0; i < count; i++)
        ret_sizes[i] = align8(ret_sizes[i]);
    return WEIR_OK;
}

/* ---- writing ---- */

/* One column on its way into rows. */
struct column_writer {
    const struct weir_row_layout *layout;
    struct weir_lane lane;
    const uint32_t *rows;
    uint32_t count;
    uint32_t slot, null_byte;
    uint8_t null_bit;
    uint8_t *const *places;
};

/* Copies values of `width` bytes, a constant wherever this is called from. */
static inline __attribute__((always_inline)) void write_width(const struct column_writer *writer,
                                                              size_t width)
{
    const struct weir_lane lane = writer->lane;
    const uint8_t *values = lane.flat->values;
    uint32_t slot = writer->slot;
    if (!lane.validity && !lane.indices && lane.mask && !writer->rows) {
        for (uint32_t i = 0; i < writer->count; i++)
            memcpy(writer->places[i] + slot, values + i * width, width);
        return;
    }
    for (uint32_t i = 0; i < writer->count; i++) {
        uint32_t row = writer->rows ? writer->rows[i] : i;
        if (weir_lane_valid(&lane, row))
            memcpy(writer->places[i] + slot, values + weir_lane(&lane, row) * width, width);
        else
            writer->places[i][writer->null_byte] |= writer->null_bit;
    }
}

/* True: row i has a value, at *at of the flat vector. False: its null bit is set. */
static inline bool writer_next(const struct column_writer *writer, uint32_t i, uint32_t *at)
{
    uint32_t row = writer->rows ? writer->rows[i] : i;
    if (!weir_lane_valid(&writer->lane, row)) {
        writer->places[i][writer->null_byte] |= writer->null_bit;
        return false;
    }
    *at = weir_lane(&writer->lane, row);
    return true;
}

static void write_double(const struct column_writer *writer)
{
    const double *values = writer->lane.flat->values;
    for (uint32_t i = 0; i < writer->count; i++) {
        uint32_t at;
        if (!writer_next(writer, i, &at))
            continue;
        double value = row_canonical_double(values[at]);
        memcpy(writer->places[i] + writer->slot, &value, sizeof value);
    }
}

static void write_float(const struct column_writer *writer)
{
    const float *values = writer->lane.flat->values;
    for (uint32_t i = 0; i < writer->count; i++) {
        uint32_t at;
        if (!writer_next(writer, i, &at))
            continue;
        float value = row_canonical_float(values[at]);
        memcpy(writer->places[i] + writer->slot, &value, sizeof value);
    }
}

static void write_boolean(const struct column_writer *writer)
{
    for (uint32_t i = 0; i < writer->count; i++) {
        uint32_t at;
        if (writer_next(writer, i, &at))
            writer->places[i][writer->slot] = weir_bit_get(writer->lane.flat->values, at);
    }
}

/* While a row is written its size field says where its heap has come to. */
static inline uint32_t heap_take(const struct column_writer *writer, uint8_t *row, uint32_t size)
{
    uint32_t at, slot[2];
    memcpy(&at, row + writer->layout->key_offset, sizeof at);
    slot[0] = at;
    slot[1] = size;
    memcpy(row + writer->slot, slot, sizeof slot);
    slot[0] = at + size;
    memcpy(row + writer->layout->key_offset, slot, sizeof at);
    return at;
}

static void write_bytes(const struct column_writer *writer)
{
    const uint8_t *values = writer->lane.flat->values;
    const int32_t *offsets = writer->lane.flat->offsets;
    for (uint32_t i = 0; i < writer->count; i++) {
        uint32_t at;
        if (!writer_next(writer, i, &at))
            continue;
        uint32_t size = (uint32_t)(offsets[at + 1] - offsets[at]);
        uint32_t heap = heap_take(writer, writer->places[i], size);
        if (size)
            memcpy(writer->places[i] + heap, values + offsets[at], size);
    }
}

static void write_nested(const struct column_writer *writer)
{
    for (uint32_t i = 0; i < writer->count; i++) {
        uint32_t at;
        if (!writer_next(writer, i, &at))
            continue;
        uint32_t size = (uint32_t)row_nested_size(writer->lane.flat, at);
        uint32_t heap = heap_take(writer, writer->places[i], size);
        row_nested_write(writer->lane.flat, at, writer->layout->canonical,
                         writer->places[i] + heap);
    }
}

static void write_fixed(const struct column_writer *writer, size_t width)
{
    switch (width) {
    case 4: write_width(writer, 4); break;
    case 8: write_width(writer, 8); break;
    case 16: write_width(writer, 16); break;
    default: write_width(writer, width);
    }
}

static void write_column(const struct column_writer *writer, const struct weir_type *type)
{
    bool canonical = writer->layout->canonical;
    if (weir_type_is_nested(type->id))
        write_nested(writer);
    else if (row_type_variable(type))
        write_bytes(writer);
    else if (type->id == WEIR_BOOLEAN)
        write_boolean(writer);
    else if (type->id == WEIR_DOUBLE && canonical)
        write_double(writer);
    else if (type->id == WEIR_FLOAT && canonical)
        write_float(writer);
    else
        write_fixed(writer, weir_type_width(type));
}

/* Sizes get their final value, and the bytes between heap and end are made zero. */
static void close_rows(const struct weir_row_layout *layout, uint32_t count, uint8_t *const *places)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size, whole;
        memcpy(&size, places[i] + layout->key_offset, sizeof size);
        whole = align8(size);
        memset(places[i] + size, 0, whole - size);
        memcpy(places[i] + layout->key_offset, &whole, sizeof whole);
    }
}

void weir_rows_write(const struct weir_row_layout *layout, const struct weir_vector *columns,
                     const uint32_t *rows, uint32_t count, uint8_t *const *places)
{
    uint32_t words = (layout->fixed_size - layout->key_offset) / 8;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *at = (uint64_t *)(void *)(places[i] + layout->key_offset);
        for (uint32_t w = 0; w < words; w++)
            at[w] = 0;
        if (layout->variable)
            memcpy(at, &layout->fixed_size, sizeof layout->fixed_size);
    }
    for (uint32_t c = 0; c < layout->count; c++) {
        struct column_writer writer = {.layout = layout,
                                       .lane = weir_lane_of(&columns[c]),
                                       .rows = rows,
                                       .count = count,
                                       .slot = layout->slots[c],
                                       .null_byte = layout->null_offset + (c >> 3),
                                       .null_bit = (uint8_t)(1u << (c & 7)),
                                       .places = places};
        write_column(&writer, &layout->types[c]);
    }
    if (layout->variable)
        close_rows(layout, count, places);
}

/* ---- reading ---- */

weir_status row_make_validity(struct weir_arena *arena, const uint8_t *const *values,
                              uint32_t count, struct weir_vector *vector, struct weir_error *reterr)
{
    uint32_t nulls = 0;
    for (uint32_t i = 0; i < count; i++)
        nulls += values[i] == NULL;
    vector->null_count = nulls;
    if (!nulls)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(arena, ((size_t)count + 511) / 512 * 64 + 64, 1, &vector->validity,
                             reterr));
    for (uint32_t i = 0; i < count; i++)
        if (values[i])
            weir_bit_set(vector->validity, i);
    return WEIR_OK;
}

static inline __attribute__((always_inline)) void read_width(const uint8_t *const *values,
                                                             uint32_t count, uint8_t *out,
                                                             size_t width)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i])
            memcpy(out + i * width, values[i], width);
        else
            memset(out + i * width, 0, width);
    }
}

weir_status row_read_fixed(struct weir_arena *arena, const uint8_t *const *values, uint32_t count,
                           struct weir_vector *vector, struct weir_error *reterr)
{
    size_t width = weir_type_width(vector->type);
    if (vector->type->id == WEIR_BOOLEAN) {
        WEIR_TRY(weir_arena_zero(arena, ((size_t)count + 511) / 512 * 64 + 64, 1, &vector->values,
                                 reterr));
        for (uint32_t i = 0; i < count; i++)
            if (values[i] && *values[i])
                weir_bit_set(vector->values, i);
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_alloc(arena, (size_t)count * width + 64, &vector->values, reterr));
    switch (width) {
    case 4: read_width(values, count, vector->values, 4); break;
    case 8: read_width(values, count, vector->values, 8); break;
    case 16: read_width(values, count, vector->values, 16); break;
    default: read_width(values, count, vector->values, width);
    }
    return WEIR_OK;
}

static weir_status read_bytes(struct weir_arena *arena, const uint8_t *const *slots,
                              uint8_t *const *places, uint32_t count, struct weir_vector *vector,
                              struct weir_error *reterr)
{
    uint64_t total = 0;
    uint32_t slot[2];
    for (uint32_t i = 0; i < count; i++) {
        if (!slots[i])
            continue;
        memcpy(slot, slots[i], sizeof slot);
        total += slot[1];
    }
    if (total > INT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY,
                         "%llu bytes of strings in one vector: more than offsets can hold",
                         (unsigned long long)total);
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof(int32_t) + 64, &vector->offsets,
                              reterr));
    WEIR_TRY(weir_arena_alloc(arena, total + 64, &vector->values, reterr));
    uint8_t *out = vector->values;
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        vector->offsets[i] = (int32_t)at;
        if (!slots[i])
            continue;
        memcpy(slot, slots[i], sizeof slot);
        memcpy(out + at, places[i] + slot[0], slot[1]);
        at += slot[1];
    }
    vector->offsets[count] = (int32_t)at;
    return WEIR_OK;
}

static weir_status read_nested(struct weir_arena *arena, const uint8_t **slots,
                               uint8_t *const *places, uint32_t count, struct weir_vector *vector,
                               struct weir_error *reterr)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot[2];
        if (!slots[i])
            continue;
        memcpy(slot, slots[i], sizeof slot);
        slots[i] = places[i] + slot[0];
    }
    return row_nested_read(arena, vector->type, slots, count, vector, reterr);
}

weir_status weir_rows_read(const struct weir_row_layout *layout, uint32_t column,
                           uint8_t *const *places, uint32_t count, struct weir_arena *arena,
                           struct weir_vector *ret_vector, struct weir_error *reterr)
{
    const struct weir_type *type = &layout->types[column];
    struct weir_vector vector = {.type = type, .kind = WEIR_FLAT, .count = count};
    const uint8_t **slots;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *slots, &slots, reterr));
    for (uint32_t i = 0; i < count; i++)
        slots[i] = places[i] && !weir_row_null(layout, places[i], column)
                       ? places[i] + layout->slots[column]
                       : NULL;
    WEIR_TRY(row_make_validity(arena, slots, count, &vector, reterr));
    if (weir_type_is_nested(type->id))
        WEIR_TRY(read_nested(arena, slots, places, count, &vector, reterr));
    else if (row_type_variable(type))
        WEIR_TRY(read_bytes(arena, slots, places, count, &vector, reterr));
    else
        WEIR_TRY(row_read_fixed(arena, slots, count, &vector, reterr));
    *ret_vector = vector;
    return WEIR_OK;
}

/* ---- whole rows ---- */

uint32_t weir_row_size(const struct weir_row_layout *layout, const uint8_t *row)
{
    uint32_t size = layout->fixed_size;
    if (layout->variable)
        memcpy(&size, row + layout->key_offset, sizeof size);
    return size;
}

bool weir_rows_equal(const struct weir_row_layout *layout, const uint8_t *a, const uint8_t *b)
{
    uint32_t offset = layout->key_offset, size = weir_row_size(layout, a);
    if (layout->variable && memcmp(a + offset, b + offset, 4) != 0)
        return false;
    return memcmp(a + offset, b + offset, size - offset) == 0;
}
