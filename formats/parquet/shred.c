/* Batches to leaves: Dremel levels, a column of a batch at a time, and the buffers a row group
 * waits in.
 *
 * A slot is one entry of a leaf's level streams. The walk goes down the schema with an array of
 * slots and makes a new one only where something changes: at nulls and at lists. A flat column
 * without nulls needs no array at all. */
#include "formats/parquet/parquet_int.h"

#include "engine/base/text.h"

#include <string.h>

#define NO_ROW        UINT32_MAX
#define BLOCK_FIRST   (16u << 10)
#define BLOCK_LARGEST (256u << 10)

struct shred {
    struct weir_arena *scratch;
    struct parquet_slots *out; /* one for each leaf, in order */
    uint32_t leaf;
    struct weir_error *reterr;
};

static uint32_t slot_row(const struct parquet_slots *slots, uint32_t at)
{
    return slots->rows ? slots->rows[at] : slots->first + at;
}

/* Slots whose row is null lose it; the others go one definition level deeper. */
static weir_status shred_optional(struct shred *shred, const struct weir_vector *vector,
                                  struct parquet_slots *slots)
{
    uint8_t depth = slots->depth++;
    if (!vector->validity && !slots->definition)
        return WEIR_OK;
    uint32_t *rows;
    uint8_t *definition;
    WEIR_TRY(weir_arena_alloc(shred->scratch, (size_t)slots->count * sizeof *rows + 1, &rows,
                              shred->reterr));
    WEIR_TRY(
        weir_arena_alloc(shred->scratch, (size_t)slots->count + 1, &definition, shred->reterr));
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t row = slot_row(slots, i);
        bool valid = row != NO_ROW && (!vector->validity || weir_bit_get(vector->validity, row));
        rows[i] = valid ? row : NO_ROW;
        definition[i] = valid                                 ? (uint8_t)(depth + 1)
                        : row != NO_ROW || !slots->definition ? depth
                                                              : slots->definition[i];
    }
    slots->rows = rows;
    slots->definition = definition;
    return WEIR_OK;
}

static weir_status shred_required(struct shred *shred, const struct weir_vector *vector,
                                  const struct weir_field *field, const struct parquet_slots *slots)
{
    if (!vector->validity)
        return WEIR_OK;
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t row = slot_row(slots, i);
        if (row != NO_ROW && !weir_bit_get(vector->validity, row))
            return weir_fail(shred->reterr, WEIR_INTERNAL, "required column %s has a null",
                             field->name);
    }
    return WEIR_OK;
}

/* Every element becomes a slot; a null or empty list keeps one slot without a row. */
static weir_status shred_elements(struct shred *shred, const struct weir_vector *list,
                                  uint8_t repetition, struct parquet_slots *slots)
{
    size_t total = 0;
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t row = slot_row(slots, i);
        uint32_t size = row == NO_ROW ? 0 : (uint32_t)(list->offsets[row + 1] - list->offsets[row]);
        total += size ? size : 1;
    }
    if (total >= UINT32_MAX)
        return weir_fail(shred->reterr, WEIR_NO_MEMORY, "%zu list elements in one batch", total);
    uint32_t *rows;
    uint8_t *definitions, *repetitions;
    WEIR_TRY(weir_arena_alloc(shred->scratch, total * sizeof *rows + 1, &rows, shred->reterr));
    WEIR_TRY(weir_arena_alloc(shred->scratch, total + 1, &definitions, shred->reterr));
    WEIR_TRY(weir_arena_alloc(shred->scratch, total + 1, &repetitions, shred->reterr));
    size_t at = 0;
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t row = slot_row(slots, i);
        int32_t from = row == NO_ROW ? 0 : list->offsets[row],
                to = row == NO_ROW ? 0 : list->offsets[row + 1];
        repetitions[at] = slots->repetition ? slots->repetition[i] : 0;
        if (from == to) {
            rows[at] = NO_ROW;
            definitions[at++] = slots->definition ? slots->definition[i] : slots->depth;
            continue;
        }
        for (int32_t element = from; element < to; element++, at++) {
            rows[at] = (uint32_t)element;
            definitions[at] = (uint8_t)(slots->depth + 1);
            if (element > from)
                repetitions[at] = repetition;
        }
    }
    *slots = (struct parquet_slots){.count = (uint32_t)total,
                                    .rows = rows,
                                    .definition = definitions,
                                    .repetition = repetitions,
                                    .depth = (uint8_t)(slots->depth + 1)};
    return WEIR_OK;
}

static weir_status shred_field(struct shred *shred, const struct weir_field *field,
                               const struct weir_vector *vector, uint8_t repetition,
                               struct parquet_slots slots)
{
    if (field->required)
        WEIR_TRY(shred_required(shred, vector, field, &slots));
    else
        WEIR_TRY(shred_optional(shred, vector, &slots));
    if (field->type.id == WEIR_LIST || field->type.id == WEIR_MAP)
        WEIR_TRY(shred_elements(shred, vector, ++repetition, &slots));
    if (!weir_type_is_nested(field->type.id)) {
        slots.vector = vector;
        shred->out[shred->leaf++] = slots;
        return WEIR_OK;
    }
    for (uint32_t i = 0; i < field->type.child_count; i++)
        WEIR_TRY(
            shred_field(shred, &field->type.children[i], &vector->children[i], repetition, slots));
    return WEIR_OK;
}

weir_status parquet_shred(struct weir_arena *scratch, const struct weir_batch *batch, uint32_t from,
                          uint32_t to, struct parquet_slots *ret_slots, struct weir_error *reterr)
{
    struct shred shred = {.scratch = scratch, .out = ret_slots, .reterr = reterr};
    for (uint32_t i = 0; i < batch->type->child_count; i++) {
        struct parquet_slots slots = {.count = to - from, .first = from};
        WEIR_TRY(shred_field(&shred, &batch->type->children[i], &batch->columns[i], 0, slots));
    }
    return WEIR_OK;
}

/* A bit for null or not, and the width; strings have four bytes for their length. */
static uint64_t level_bits(const struct weir_type *type)
{
    bool text = type->id == WEIR_STRING || type->id == WEIR_BINARY;
    return 1 + (type->id == WEIR_BOOLEAN
                    ? 1
                    : 8 * (uint64_t)(text ? sizeof(int32_t) : weir_type_width(type)));
}

void parquet_slots_bits(const struct parquet_slots *slots, uint64_t *per_row)
{
    const struct weir_vector *vector = slots->vector;
    bool text = vector->type->id == WEIR_STRING || vector->type->id == WEIR_BINARY;
    uint64_t each = level_bits(vector->type);
    size_t at = 0;
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t row = slot_row(slots, i);
        if (i > 0 && (!slots->repetition || slots->repetition[i] == 0))
            at++;
        per_row[at] += each + (!text || row == NO_ROW ? 0
                                                      : 8 * (uint64_t)(vector->offsets[row + 1] -
                                                                       vector->offsets[row]));
    }
}

uint64_t parquet_slots_bits_most(const struct parquet_slots *slots)
{
    const struct weir_vector *vector = slots->vector;
    uint64_t bits = level_bits(vector->type) * slots->count;
    uint32_t first = 0, last = slots->count;
    if (vector->type->id != WEIR_STRING && vector->type->id != WEIR_BINARY)
        return bits;
    while (first < last && slot_row(slots, first) == NO_ROW)
        first++;
    while (first < last && slot_row(slots, last - 1) == NO_ROW)
        last--;
    if (first == last)
        return bits;
    /* rows ascend, so all strings lie between the first and the last */
    return bits + 8 * (uint64_t)(vector->offsets[slot_row(slots, last - 1) + 1] -
                                 vector->offsets[slot_row(slots, first)]);
}

uint64_t parquet_column_bits(const struct parquet_column *column)
{
    return level_bits(column->leaf->type) * column->level_count + 8 * column->byte_count;
}

/* ---- appending
 * -------------------------------------------------------------------------------------------------
 */

void parquet_column_clear(struct parquet_column *column)
{
    for (size_t i = 0; i < column->segment_count; i++) {
        weir_buffer_done(&column->segments[i].definition);
        weir_buffer_done(&column->segments[i].repetition);
        weir_buffer_done(&column->segments[i].values);
    }
    weir_free(column->segments);
    for (struct parquet_block *block = column->first_block, *next; block; block = next) {
        next = block->next;
        weir_free(block);
    }
    *column = (struct parquet_column){.leaf = column->leaf, .account = column->account};
}

/* A new segment gets what the one before needed: all but the last of a row group are alike, and
 * doubling would waste. */
static weir_status column_new_segment(struct parquet_column *column, struct weir_error *reterr)
{
    if (column->segment_count == column->segment_capacity) {
        size_t capacity = column->segment_capacity ? column->segment_capacity * 2 : 8;
        WEIR_TRY(weir_realloc(&column->segments, column->account,
                              capacity * sizeof *column->segments, reterr));
        column->segment_capacity = capacity;
    }
    struct parquet_segment *segment = &column->segments[column->segment_count];
    *segment = (struct parquet_segment){.definition.account = column->account,
                                        .repetition.account = column->account,
                                        .values.account = column->account};
    if (column->segment_count > 0) {
        const struct parquet_segment *last = segment - 1;
        size_t size = last->values.size + last->values.size / 16;
        if (size)
            WEIR_TRY(weir_realloc(&segment->values.data, column->account, size, reterr));
        segment->values.capacity = size;
    }
    column->segment_count++;
    return WEIR_OK;
}

static weir_status column_new_block(struct parquet_column *column, uint32_t size,
                                    struct weir_error *reterr)
{
    uint32_t capacity = column->last_block ? column->last_block->capacity * 2 : BLOCK_FIRST;
    capacity = capacity > BLOCK_LARGEST ? BLOCK_LARGEST : capacity;
    capacity = capacity < size ? size : capacity;
    struct parquet_block *block;
    WEIR_TRY(weir_alloc(column->account, sizeof *block + capacity, &block, reterr));
    *block = (struct parquet_block){.capacity = capacity};
    if (column->last_block)
        column->last_block->next = block;
    else
        column->first_block = block;
    column->last_block = block;
    return WEIR_OK;
}

/* Copies the strings of rows [row, row + count), which lie side by side. */
static weir_status append_string_run(struct parquet_column *column,
                                     const struct weir_vector *vector, uint32_t row, uint32_t count,
                                     struct weir_error *reterr)
{
    const int32_t *offsets = vector->offsets + row;
    const uint8_t *bytes = vector->values;
    uint32_t at = 0;
    while (at < count) {
        struct parquet_block *block = column->last_block;
        uint32_t room = block ? block->capacity - block->used : 0, to = at;
        if ((uint32_t)(offsets[count] - offsets[at]) <= room)
            to = count;
        else
            while (to < count && (uint32_t)(offsets[to + 1] - offsets[at]) <= room)
                to++;
        uint32_t size = (uint32_t)(offsets[to] - offsets[at]);
        if (size) {
            memcpy(block->data + block->used, bytes + offsets[at], size);
            block->used += size;
        }
        at = to;
        if (at < count)
            WEIR_TRY(column_new_block(column, (uint32_t)(offsets[at + 1] - offsets[at]), reterr));
    }
    return WEIR_OK;
}

static weir_status append_strings(struct parquet_column *column, struct parquet_segment *segment,
                                  const struct parquet_slots *slots, uint32_t from, uint32_t to,
                                  struct weir_error *reterr)
{
    const struct weir_vector *vector = slots->vector;
    WEIR_TRY(weir_buffer_reserve(&segment->values, (size_t)(to - from) * sizeof(uint32_t), reterr));
    uint32_t *lengths = (uint32_t *)(void *)(segment->values.data + segment->values.size),
             count = 0;
    for (uint32_t at = from; at < to;) {
        uint32_t row = slot_row(slots, at);
        if (row == NO_ROW) {
            at++;
            continue;
        }
        uint32_t run = 1;
        while (at + run < to && slot_row(slots, at + run) == row + run)
            run++;
        for (uint32_t i = 0; i < run; i++)
            lengths[count++] = (uint32_t)(vector->offsets[row + i + 1] - vector->offsets[row + i]);
        uint32_t bytes = (uint32_t)(vector->offsets[row + run] - vector->offsets[row]);
        segment->byte_count += bytes;
        column->byte_count += bytes;
        WEIR_TRY(append_string_run(column, vector, row, run, reterr));
        at += run;
    }
    segment->values.size += (size_t)count * sizeof(uint32_t);
    segment->value_count += count;
    column->value_count += count;
    return WEIR_OK;
}

static inline __attribute__((always_inline)) uint32_t copy_dense(uint8_t *to, const uint8_t *values,
                                                                 size_t width,
                                                                 const struct parquet_slots *slots,
                                                                 uint32_t from, uint32_t end)
{
    if (!slots->rows) {
        memcpy(to, values + (size_t)(slots->first + from) * width, (size_t)(end - from) * width);
        return end - from;
    }
    uint32_t count = 0;
    for (uint32_t i = from; i < end; i++) {
        uint32_t row = slots->rows[i];
        if (row == NO_ROW)
            continue;
        memcpy(to + count * width, values + (size_t)row * width, width);
        count++;
    }
    return count;
}

static uint32_t copy_booleans(uint8_t *to, const uint8_t *bits, const struct parquet_slots *slots,
                              uint32_t from, uint32_t end)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < end; i++) {
        uint32_t row = slot_row(slots, i);
        if (row != NO_ROW)
            to[count++] = weir_bit_get(bits, row);
    }
    return count;
}

/* int128 to what the precision asks for: INT32, INT64, or big-endian bytes as few as hold it. */
static uint32_t copy_decimals(uint8_t *to, const struct parquet_leaf *leaf,
                              const struct parquet_slots *slots, uint32_t from, uint32_t end)
{
    const weir_int128 *values = slots->vector->values;
    uint32_t count = 0;
    for (uint32_t i = from; i < end; i++) {
        uint32_t row = slot_row(slots, i);
        if (row == NO_ROW)
            continue;
        weir_int128 value = values[row];
        if (leaf->physical == PARQUET_FIXED) {
            for (uint32_t b = leaf->width; b-- > 0; value >>= 8)
                to[count * leaf->width + b] = (uint8_t)value;
        } else {
            int64_t small = (int64_t)value;
            memcpy(to + count * leaf->width, &small,
                   leaf->width); /* little endian: the low bytes come first */
        }
        count++;
    }
    return count;
}

static weir_status append_fixed(struct parquet_column *column, struct parquet_segment *segment,
                                const struct parquet_slots *slots, uint32_t from, uint32_t to,
                                struct weir_error *reterr)
{
    const struct parquet_leaf *leaf = column->leaf;
    WEIR_TRY(weir_buffer_reserve(&segment->values, (size_t)(to - from) * leaf->width, reterr));
    uint8_t *out = segment->values.data + segment->values.size;
    const uint8_t *values = slots->vector->values;
    uint32_t count;
    if (leaf->physical == PARQUET_BOOLEAN)
        count = copy_booleans(out, values, slots, from, to);
    else if (leaf->type->id == WEIR_DECIMAL)
        count = copy_decimals(out, leaf, slots, from, to);
    else if (leaf->width == 4)
        count = copy_dense(out, values, 4, slots, from, to);
    else if (leaf->width == 8)
        count = copy_dense(out, values, 8, slots, from, to);
    else
        count = copy_dense(out, values, leaf->width, slots, from, to);
    segment->values.size += (size_t)count * leaf->width;
    segment->value_count += count;
    column->value_count += count;
    return WEIR_OK;
}

static weir_status append_levels(struct parquet_column *column, struct parquet_segment *segment,
                                 const struct parquet_slots *slots, uint32_t from, uint32_t to,
                                 struct weir_error *reterr)
{
    uint32_t count = to - from;
    if (column->leaf->max_repetition) {
        WEIR_TRY(weir_buffer_append(&segment->repetition, slots->repetition + from, count, reterr));
        for (uint32_t i = from; i < to; i++)
            segment->row_count += slots->repetition[i] == 0;
    } else {
        segment->row_count += count;
    }
    if (slots->definition &&
        segment->definition.size == 0) { /* the levels so far were all the maximum */
        WEIR_TRY(weir_buffer_reserve(&segment->definition, (size_t)segment->level_count + count,
                                     reterr));
        memset(segment->definition.data, column->leaf->max_definition, segment->level_count);
        segment->definition.size = segment->level_count;
    }
    if (slots->definition) {
        WEIR_TRY(weir_buffer_append(&segment->definition, slots->definition + from, count, reterr));
    } else if (segment->definition.size) {
        WEIR_TRY(weir_buffer_reserve(&segment->definition, count, reterr));
        memset(segment->definition.data + segment->definition.size, column->leaf->max_definition,
               count);
        segment->definition.size += count;
    }
    segment->level_count += count;
    column->level_count += count;
    return WEIR_OK;
}

/* Where the segment is full: after the row that brings it to PARQUET_SEGMENT_LEVELS. */
static uint32_t segment_end(const struct parquet_segment *segment,
                            const struct parquet_slots *slots, uint32_t from)
{
    uint32_t room = segment->level_count < PARQUET_SEGMENT_LEVELS
                        ? PARQUET_SEGMENT_LEVELS - segment->level_count
                        : 0;
    if (slots->count - from <= room)
        return slots->count;
    uint32_t end = from + room;
    if (slots->repetition)
        while (end < slots->count && slots->repetition[end] != 0)
            end++;
    return end;
}

weir_status parquet_column_append(struct parquet_column *column, const struct parquet_slots *slots,
                                  struct weir_error *reterr)
{
    for (uint32_t at = 0; at < slots->count;) {
        struct parquet_segment *segment = column->segment_count
                                              ? &column->segments[column->segment_count - 1]
                                              : NULL;
        uint32_t end = segment ? segment_end(segment, slots, at) : at;
        if (end == at) {
            WEIR_TRY(column_new_segment(column, reterr));
            segment = &column->segments[column->segment_count - 1];
            end = segment_end(segment, slots, at);
        }
        WEIR_TRY(append_levels(column, segment, slots, at, end, reterr));
        if (column->leaf->physical == PARQUET_BYTE_ARRAY)
            WEIR_TRY(append_strings(column, segment, slots, at, end, reterr));
        else
            WEIR_TRY(append_fixed(column, segment, slots, at, end, reterr));
        at = end;
    }
    return WEIR_OK;
}
