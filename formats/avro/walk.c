/* Avro's binary encoding, read where it lies. Every read is checked against the end, every item is
 * counted: items that take no bytes cannot make work without end. */
#include "formats/avro/rows_int.h"

#include <string.h>

bool avro_walk_fail(struct avro_walk *walk, enum weir_reason reason, const char *fault)
{
    walk->reason = reason;
    walk->fault = fault;
    return false;
}

static bool cut(struct avro_walk *walk)
{
    walk->cut = true;
    return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "it is cut off");
}

bool avro_walk_long(struct avro_walk *walk, int64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (walk->position == walk->size)
            return cut(walk);
        uint8_t byte = walk->data[walk->position++];
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = (int64_t)(value >> 1 ^ (0 - (value & 1)));
            return true;
        }
    }
    return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "a number of more than 64 bits");
}

bool avro_walk_int(struct avro_walk *walk, int64_t *ret_value)
{
    if (!avro_walk_long(walk, ret_value))
        return false;
    if (*ret_value < INT32_MIN || *ret_value > INT32_MAX)
        return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "an int of more than 32 bits");
    return true;
}

bool avro_walk_run(struct avro_walk *walk, uint64_t size, const uint8_t **ret_run)
{
    if (size > walk->size - walk->position)
        return cut(walk);
    *ret_run = walk->data + walk->position;
    walk->position += (size_t)size;
    return true;
}

bool avro_walk_text(struct avro_walk *walk, struct weir_bytes *ret_bytes)
{
    int64_t size;
    if (!avro_walk_long(walk, &size))
        return false;
    if (size < 0)
        return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "a text of less than no bytes");
    ret_bytes->size = (size_t)size;
    return avro_walk_run(walk, (uint64_t)size, &ret_bytes->data);
}

bool avro_walk_count(struct avro_walk *walk, size_t *ret_count)
{
    int64_t count, bytes;
    if (!avro_walk_long(walk, &count))
        return false;
    if (count < 0) {
        if (count == INT64_MIN)
            return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "an impossible count of items");
        count = -count;
        if (!avro_walk_long(walk, &bytes))
            return false;
        if (bytes < 0 || (uint64_t)bytes > walk->size - walk->position)
            return cut(walk);
    }
    if ((uint64_t)count > walk->budget)
        return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "more items than the bytes can hold");
    walk->budget -= (size_t)count;
    *ret_count = (size_t)count;
    return true;
}

static bool skip_items(struct avro_walk *walk, const struct weir_avro_type *type, int depth)
{
    size_t count;
    struct weir_bytes key;
    for (;;) {
        if (!avro_walk_count(walk, &count))
            return false;
        if (count == 0)
            return true;
        for (size_t i = 0; i < count; i++) {
            if (type->kind == WEIR_AVRO_MAP && !avro_walk_text(walk, &key))
                return false;
            if (!avro_walk_skip(walk, type->fields[0].type, depth + 1))
                return false;
        }
    }
}

static bool skip_record(struct avro_walk *walk, const struct weir_avro_type *type, int depth)
{
    /* records of records that take no bytes: a schema of a few types can nest millions of them */
    if (walk->budget == 0)
        return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "more items than the bytes can hold");
    walk->budget--;
    for (size_t i = 0; i < type->field_count; i++)
        if (!avro_walk_skip(walk, type->fields[i].type, depth + 1))
            return false;
    return true;
}

bool avro_walk_skip(struct avro_walk *walk, const struct weir_avro_type *type, int depth)
{
    const uint8_t *run;
    struct weir_bytes text;
    int64_t number;
    if (depth > WEIR_AVRO_DEPTH_MAX)
        return avro_walk_fail(walk, WEIR_REASON_DEPTH, "nested too deep");
    switch (type->kind) {
    case WEIR_AVRO_NULL: return true;
    case WEIR_AVRO_BOOLEAN: return avro_walk_run(walk, 1, &run);
    case WEIR_AVRO_INT: return avro_walk_int(walk, &number);
    case WEIR_AVRO_LONG: return avro_walk_long(walk, &number);
    case WEIR_AVRO_FLOAT: return avro_walk_run(walk, 4, &run);
    case WEIR_AVRO_DOUBLE: return avro_walk_run(walk, 8, &run);
    case WEIR_AVRO_BYTES:
    case WEIR_AVRO_STRING: return avro_walk_text(walk, &text);
    case WEIR_AVRO_FIXED: return avro_walk_run(walk, type->size, &run);
    case WEIR_AVRO_ENUM:
        if (!avro_walk_long(walk, &number))
            return false;
        return (number >= 0 && (uint64_t)number < type->size) ||
               avro_walk_fail(walk, WEIR_REASON_SYNTAX, "a symbol that the enum lacks");
    case WEIR_AVRO_UNION:
        if (!avro_walk_long(walk, &number))
            return false;
        if (number < 0 || (uint64_t)number >= type->field_count)
            return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "a branch that the union lacks");
        return avro_walk_skip(walk, type->fields[number].type, depth + 1);
    case WEIR_AVRO_ARRAY:
    case WEIR_AVRO_MAP: return skip_items(walk, type, depth);
    case WEIR_AVRO_RECORD: return skip_record(walk, type, depth);
    case WEIR_AVRO_KIND_COUNT: break;
    }
    return avro_walk_fail(walk, WEIR_REASON_SYNTAX, "a type that is none");
}

weir_status weir_avro_step(const struct weir_avro_type *type, const uint8_t *data, size_t size,
                           size_t *position, struct weir_error *reterr)
{
    struct avro_walk walk = {
        .data = data, .size = size, .position = *position, .budget = AVRO_ITEMS(size - *position)};
    if (!avro_walk_skip(&walk, type, 0))
        return weir_fail(reterr, WEIR_CORRUPT, "avro: at %zu of %zu: %s", walk.position, size,
                         walk.fault);
    *position = walk.position;
    return WEIR_OK;
}
