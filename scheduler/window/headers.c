/* _kafka.headers: what the source keeps of its records' headers, as a list of (key, value). */
#include "scheduler/window/ingest.h"

#include "engine/base/text.h"

#include <string.h>

struct headers {
    struct weir_bytes (**pairs)[2]; /* by row */
    size_t *counts;
    size_t total, key_bytes, value_bytes;
};

static weir_status gather(struct weir_arena *arena, const struct weir_run *run,
                          const uint32_t *record, uint32_t count, struct headers *headers,
                          struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof(*headers->pairs), &headers->pairs, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *headers->counts, &headers->counts, reterr));
    for (uint32_t i = 0; run->source && i < count; i++) {
        WEIR_TRY(run->source->operations->headers(run->source->self, &run->records[record[i]],
                                                  arena, &headers->pairs[i], &headers->counts[i],
                                                  reterr));
        for (size_t k = 0; k < headers->counts[i]; k++) {
            headers->key_bytes += headers->pairs[i][k][0].size;
            headers->value_bytes += headers->pairs[i][k][1].size;
        }
        headers->total += headers->counts[i];
    }
    if (headers->key_bytes > INT32_MAX || headers->value_bytes > INT32_MAX ||
        headers->total > INT32_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%zu bytes of headers in one run",
                         headers->key_bytes + headers->value_bytes);
    return WEIR_OK;
}

static void put(struct weir_vector *vector, uint32_t row, struct weir_bytes bytes)
{
    int32_t at = vector->offsets[row];
    if (bytes.size)
        memcpy((uint8_t *)vector->values + at, bytes.data, bytes.size);
    vector->offsets[row + 1] = at + (int32_t)bytes.size;
}

/* Kafka lets a name be any bytes; a column of strings does not. */
static void put_name(struct weir_vector *vector, uint32_t row, struct weir_bytes name)
{
    put(vector, row, name);
    uint8_t *text = (uint8_t *)vector->values + vector->offsets[row];
    if (weir_utf8_invalid(text, name.size) == name.size)
        return;
    for (size_t i = 0; i < name.size; i++)
        text[i] = text[i] < 128 ? text[i] : '?';
}

weir_status headers_column(struct weir_arena *arena, const struct weir_type *type,
                           const struct weir_run *run, const uint32_t *record, uint32_t count,
                           struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct headers headers = {0};
    struct weir_vector list, *pair;
    uint32_t row = 0;
    WEIR_TRY(gather(arena, run, record, count, &headers, reterr));
    WEIR_TRY(weir_vector_make(arena, type, count, 0, &list, reterr));
    pair = &list.children[0];
    uint32_t total = (uint32_t)headers.total;
    const struct weir_type *element = &type->children[0].type;
    WEIR_TRY(weir_vector_make(arena, element, 0, 0, pair, reterr));
    WEIR_TRY(weir_vector_make(arena, &element->children[0].type, total, headers.key_bytes,
                              &pair->children[0], reterr));
    WEIR_TRY(weir_vector_make(arena, &element->children[1].type, total, headers.value_bytes,
                              &pair->children[1], reterr));
    struct weir_vector *value = &pair->children[1];
    WEIR_TRY(
        weir_arena_zero(arena, ((size_t)total + 511) / 512 * 64 + 64, 1, &value->validity, reterr));
    for (uint32_t i = 0; i < count; i++) {
        for (size_t k = 0; k < headers.counts[i]; k++, row++) {
            put_name(&pair->children[0], row, headers.pairs[i][k][0]);
            put(value, row, headers.pairs[i][k][1]);
            if (headers.pairs[i][k][1].data)
                weir_bit_set(value->validity, row);
            else
                value->null_count++;
        }
        list.offsets[i + 1] = (int32_t)row;
    }
    if (value->null_count == 0)
        value->validity = NULL;
    list.count = count;
    pair->count = pair->children[0].count = value->count = total;
    *ret_vector = list;
    return WEIR_OK;
}
