/* Avro's binary encoding of values. Every read is checked against the end; every value is counted,
 * so that schemas whose values take no bytes cannot make work without end. */
#include "formats/avro/avro_int.h"

#include <string.h>

struct decoder {
    struct weir_arena *arena;
    const uint8_t *data;
    size_t size, position;
    size_t budget; /* values that may still be decoded */
    struct weir_error *reterr;
};

static weir_status cut(struct decoder *decoder, size_t want)
{
    return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: %zu bytes wanted at %zu of %zu", want,
                     decoder->position, decoder->size);
}

static weir_status read_long(struct decoder *decoder, int64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (decoder->position == decoder->size)
            return cut(decoder, 1);
        uint8_t byte = decoder->data[decoder->position++];
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = (int64_t)(value >> 1 ^ (0 - (value & 1)));
            return WEIR_OK;
        }
    }
    return weir_fail(decoder->reterr, WEIR_CORRUPT,
                     "avro: a number of more than 64 bits ends at %zu", decoder->position);
}

static weir_status read_run(struct decoder *decoder, size_t size, const uint8_t **ret_run)
{
    if (size > decoder->size - decoder->position)
        return cut(decoder, size);
    *ret_run = decoder->data + decoder->position;
    decoder->position += size;
    return WEIR_OK;
}

static weir_status read_bytes(struct decoder *decoder, bool skip, struct weir_bytes *ret_bytes)
{
    int64_t size;
    const uint8_t *run;
    char *copy;
    WEIR_TRY(read_long(decoder, &size));
    if (size < 0 || (uint64_t)size > decoder->size - decoder->position)
        return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: %lld bytes of text at %zu of %zu",
                         (long long)size, decoder->position, decoder->size);
    WEIR_TRY(read_run(decoder, (size_t)size, &run));
    if (skip)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(decoder->arena, run, (size_t)size, &copy, decoder->reterr));
    *ret_bytes = (struct weir_bytes){(const uint8_t *)copy, (size_t)size};
    return WEIR_OK;
}

/* The count of a block of an array or map; *ret_bytes is its size when the writer gave it (0 =
 * unknown). */
static weir_status read_count(struct decoder *decoder, size_t *ret_count, size_t *ret_bytes)
{
    int64_t count, bytes = 0;
    WEIR_TRY(read_long(decoder, &count));
    if (count < 0) {
        if (count == INT64_MIN)
            return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: impossible count at %zu",
                             decoder->position);
        count = -count;
        WEIR_TRY(read_long(decoder, &bytes));
        if (bytes < 0 || (uint64_t)bytes > decoder->size - decoder->position)
            return weir_fail(decoder->reterr, WEIR_CORRUPT,
                             "avro: block of %lld bytes at %zu of %zu", (long long)bytes,
                             decoder->position, decoder->size);
    }
    if ((uint64_t)count > decoder->budget)
        return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: %lld items at %zu of %zu",
                         (long long)count, decoder->position, decoder->size);
    *ret_count = (size_t)count;
    *ret_bytes = (size_t)bytes;
    return WEIR_OK;
}

static weir_status decode(struct decoder *decoder, const struct weir_avro_type *type, bool skip,
                          int depth, struct weir_avro_value *ret_value);

/* Grows a list in the arena by doubling: a count is believed only as far as its items are there. */
static weir_status list_room(struct decoder *decoder, struct weir_avro_value **items, size_t used,
                             size_t *capacity)
{
    if (used < *capacity)
        return WEIR_OK;
    struct weir_avro_value *more;
    size_t larger = *capacity ? *capacity * 2 : 4;
    WEIR_TRY(weir_arena_alloc(decoder->arena, larger * sizeof *more, &more, decoder->reterr));
    if (used)
        memcpy(more, *items, used * sizeof *more);
    *items = more;
    *capacity = larger;
    return WEIR_OK;
}

static weir_status decode_items(struct decoder *decoder, const struct weir_avro_type *type,
                                bool skip, int depth, struct weir_avro_value *value)
{
    static const struct weir_avro_type key_type = {
        .kind = WEIR_AVRO_STRING, .name = "", .logical_type = ""};
    bool is_map = type->kind == WEIR_AVRO_MAP;
    struct weir_avro_value *items = NULL, item;
    size_t used = 0, capacity = 0, count, bytes;
    for (;;) {
        WEIR_TRY(read_count(decoder, &count, &bytes));
        if (count == 0)
            break;
        if (skip && bytes) {
            decoder->position += bytes;
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            for (int half = is_map ? 0 : 1; half < 2; half++) {
                WEIR_TRY(decode(decoder, half == 0 ? &key_type : type->fields[0].type, skip,
                                depth + 1, &item));
                if (skip)
                    continue;
                WEIR_TRY(list_room(decoder, &items, used, &capacity));
                items[used++] = item;
            }
        }
    }
    value->as.list.items = items;
    value->as.list.count = is_map ? used / 2 : used;
    return WEIR_OK;
}

static weir_status decode_record(struct decoder *decoder, const struct weir_avro_type *type,
                                 bool skip, int depth, struct weir_avro_value *value)
{
    struct weir_avro_value *items = NULL, item;
    if (!skip)
        WEIR_TRY(weir_arena_zero(decoder->arena, type->field_count, sizeof *items, &items,
                                 decoder->reterr));
    for (size_t i = 0; i < type->field_count; i++) {
        bool skip_this = skip || type->fields[i].skip;
        WEIR_TRY(decode(decoder, type->fields[i].type, skip_this, depth + 1, &item));
        if (!skip_this)
            items[i] = item;
    }
    value->as.list.items = items;
    value->as.list.count = type->field_count;
    return WEIR_OK;
}

static weir_status decode_fixed_width(struct decoder *decoder, const struct weir_avro_type *type,
                                      bool skip, struct weir_avro_value *value)
{
    const uint8_t *run;
    float single;
    char *copy;
    size_t size = type->kind == WEIR_AVRO_BOOLEAN  ? 1
                  : type->kind == WEIR_AVRO_FLOAT  ? 4
                  : type->kind == WEIR_AVRO_DOUBLE ? 8
                                                   : type->size;
    WEIR_TRY(read_run(decoder, size, &run));
    if (type->kind == WEIR_AVRO_BOOLEAN) {
        if (*run > 1)
            return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: boolean of %d at %zu", *run,
                             decoder->position - 1);
        value->as.boolean = *run;
    } else if (type->kind == WEIR_AVRO_FLOAT) {
        memcpy(&single, run, 4);
        value->as.real = (double)single;
    } else if (type->kind == WEIR_AVRO_DOUBLE) {
        memcpy(&value->as.real, run, 8);
    } else if (!skip) {
        WEIR_TRY(weir_arena_copy(decoder->arena, run, size, &copy, decoder->reterr));
        value->as.bytes = (struct weir_bytes){(const uint8_t *)copy, size};
    }
    return WEIR_OK;
}

static weir_status decode_integer(struct decoder *decoder, const struct weir_avro_type *type,
                                  struct weir_avro_value *value)
{
    int64_t number;
    WEIR_TRY(read_long(decoder, &number));
    if (type->kind == WEIR_AVRO_INT && (number < INT32_MIN || number > INT32_MAX))
        return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: int of %lld before %zu",
                         (long long)number, decoder->position);
    if (type->kind == WEIR_AVRO_ENUM && (number < 0 || (uint64_t)number >= type->size))
        return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: symbol %lld of %zu before %zu",
                         (long long)number, type->size, decoder->position);
    value->as.integer = number;
    return WEIR_OK;
}

static weir_status decode(struct decoder *decoder, const struct weir_avro_type *type, bool skip,
                          int depth, struct weir_avro_value *ret_value)
{
    if (depth > WEIR_AVRO_DEPTH_MAX)
        return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: value nested deeper than %d",
                         WEIR_AVRO_DEPTH_MAX);
    if (decoder->budget-- == 0) {
        decoder->budget = 0;
        return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: more values than bytes at %zu",
                         decoder->position);
    }
    struct weir_avro_value value = {.type = type};
    int64_t branch;
    switch (type->kind) {
    case WEIR_AVRO_NULL: break;
    case WEIR_AVRO_INT:
    case WEIR_AVRO_LONG:
    case WEIR_AVRO_ENUM: WEIR_TRY(decode_integer(decoder, type, &value)); break;
    case WEIR_AVRO_BYTES:
    case WEIR_AVRO_STRING: WEIR_TRY(read_bytes(decoder, skip, &value.as.bytes)); break;
    case WEIR_AVRO_ARRAY:
    case WEIR_AVRO_MAP: WEIR_TRY(decode_items(decoder, type, skip, depth, &value)); break;
    case WEIR_AVRO_RECORD: WEIR_TRY(decode_record(decoder, type, skip, depth, &value)); break;
    case WEIR_AVRO_UNION:
        WEIR_TRY(read_long(decoder, &branch));
        if (branch < 0 || (uint64_t)branch >= type->field_count)
            return weir_fail(decoder->reterr, WEIR_CORRUPT, "avro: branch %lld of %zu before %zu",
                             (long long)branch, type->field_count, decoder->position);
        return decode(decoder, type->fields[branch].type, skip, depth + 1, ret_value);
    default: WEIR_TRY(decode_fixed_width(decoder, type, skip, &value));
    }
    *ret_value = value;
    return WEIR_OK;
}

weir_status avro_decode(struct weir_arena *arena, const struct weir_avro_type *type,
                        const uint8_t *data, size_t size, size_t *position, size_t *budget,
                        struct weir_avro_value *ret_value, struct weir_error *reterr)
{
    struct decoder decoder = {.arena = arena,
                              .data = data,
                              .size = size,
                              .position = *position,
                              .budget = *budget,
                              .reterr = reterr};
    WEIR_TRY(decode(&decoder, type, false, 0, ret_value));
    *position = decoder.position;
    *budget = decoder.budget;
    return WEIR_OK;
}

weir_status weir_avro_decode(struct weir_arena *arena, const struct weir_avro_type *type,
                             const uint8_t *data, size_t size, size_t *position,
                             struct weir_avro_value *ret_value, struct weir_error *reterr)
{
    size_t budget = AVRO_BUDGET(size - *position) + WEIR_AVRO_FREE_VALUES_MAX;
    return avro_decode(arena, type, data, size, position, &budget, ret_value, reterr);
}

weir_status weir_avro_put_raw(struct weir_buffer *out, const void *data, size_t size,
                              struct weir_error *reterr)
{
    return weir_buffer_append(out, data, size, reterr);
}

weir_status weir_avro_put_long(struct weir_buffer *out, int64_t value, struct weir_error *reterr)
{
    uint8_t bytes[10];
    size_t size = 0;
    uint64_t rest = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; rest >= 0x80; rest >>= 7)
        bytes[size++] = (uint8_t)(rest | 0x80);
    bytes[size++] = (uint8_t)rest;
    return weir_buffer_append(out, bytes, size, reterr);
}

weir_status weir_avro_put_bytes(struct weir_buffer *out, const void *data, size_t size,
                                struct weir_error *reterr)
{
    WEIR_TRY(weir_avro_put_long(out, (int64_t)size, reterr));
    return weir_buffer_append(out, data, size, reterr);
}
