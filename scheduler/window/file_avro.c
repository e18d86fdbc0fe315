/* Avro container files to records, one for each value. A record's place is its number in the file,
 * from 0. */
#include "scheduler/window/file_int.h"

#include "engine/base/limits.h"
#include "formats/avro/avro.h"

#include <string.h>

struct avro_reading {
    struct file_reading *reading;
    struct weir_buffer pending; /* not taken yet */
    struct weir_avro_blocks *blocks;
    struct weir_avro_type *writer;
    int64_t row;
};

static weir_status take_header(struct avro_reading *avro, bool last, size_t *ret_used,
                               struct weir_error *reterr)
{
    struct file_window *window = avro->reading->window;
    struct weir_buffer *pending = &avro->pending;
    struct weir_layout layout;
    WEIR_TRY(weir_avro_blocks_open(window->arena.account,
                                   pending->data ? pending->data : (const uint8_t *)"",
                                   pending->size, last, &avro->blocks, ret_used, reterr));
    if (*ret_used == 0)
        return WEIR_OK;
    struct weir_bytes schema = weir_avro_blocks_schema(avro->blocks);
    WEIR_TRY(weir_avro_schema_parse(&window->arena, (const char *)schema.data, schema.size,
                                    &avro->writer, reterr));
    WEIR_TRY(layout_avro(&window->arena, window->options->table, &window->table->shape.decode,
                         schema, false, &layout, reterr));
    return file_set_layout(avro->reading, &layout, reterr);
}

static weir_status take_values(struct avro_reading *avro, struct weir_bytes values, uint64_t count,
                               struct weir_error *reterr)
{
    size_t at = 0;
    if (count > values.size + WEIR_AVRO_FREE_VALUES_MAX)
        return weir_fail(reterr, WEIR_CORRUPT, "avro: a block of %llu values in %zu bytes",
                         (unsigned long long)count, values.size);
    for (uint64_t i = 0; i < count; i++) {
        size_t end = at;
        weir_status status = weir_avro_step(avro->writer, values.data, values.size, &end, reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "record %lld", (long long)avro->row);
            return status;
        }
        WEIR_TRY(file_add(avro->reading, avro->row++, values.data + at, end - at, reterr));
        at = end;
    }
    return at == values.size
               ? WEIR_OK
               : weir_fail(reterr, WEIR_CORRUPT,
                           "avro: %zu bytes left over in the block before record %lld",
                           values.size - at, (long long)avro->row);
}

static weir_status take_all(struct avro_reading *avro, bool last, struct weir_error *reterr)
{
    struct weir_buffer *pending = &avro->pending;
    struct weir_bytes values;
    size_t used = 0, step = 0;
    uint64_t count;
    if (!avro->blocks) {
        WEIR_TRY(take_header(avro, last, &step, reterr));
        used = step;
    }
    while (avro->blocks && used < pending->size) {
        WEIR_TRY(weir_avro_blocks_next(avro->blocks, pending->data + used, pending->size - used,
                                       last, &values, &count, &step, reterr));
        if (step == 0)
            break;
        WEIR_TRY(take_values(avro, values, count, reterr));
        used += step;
    }
    if (used)
        memmove(pending->data, pending->data + used, pending->size -= used);
    return WEIR_OK;
}

static weir_status take(void *self, const uint8_t *data, size_t size, struct weir_error *reterr)
{
    struct avro_reading *avro = self;
    WEIR_TRY(weir_buffer_append(&avro->pending, data, size, reterr));
    return take_all(avro, false, reterr);
}

weir_status file_read_avro(struct file_reading *reading, struct weir_error *reterr)
{
    struct avro_reading avro = {.reading = reading,
                                .pending = {.account = reading->window->arena.account}};
    weir_status status = file_stream(reading, take, &avro, reterr);
    if (status == WEIR_OK)
        status = take_all(&avro, true, reterr);
    weir_avro_blocks_free(avro.blocks);
    weir_buffer_done(&avro.pending);
    return status;
}
