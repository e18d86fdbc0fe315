/* CSV files to records. A record's place is the line it begins in, from 0, the header's line
 * counted; a record may go on over several. */
#include "scheduler/window/file_int.h"

#include "engine/base/limits.h"

#include <string.h>

#define SPLIT_ROWS 512

struct csv_reading {
    struct file_reading *reading;
    struct weir_csv_dialect dialect;
    struct weir_buffer pending; /* UTF-8 that is not cut into records yet */
    int64_t line;               /* where pending begins */
    bool begun;                 /* the beginning of the file has been looked at */
    bool headed;                /* the layout is known */
    bool skipping;              /* behind a record that is too large, up to its line's end */
};

static int64_t lines_in(const struct csv_reading *csv, const uint8_t *data, const uint8_t *end)
{
    int64_t count = 0;
    while (data < end && (data = memchr(data, csv->dialect.newline, (size_t)(end - data)))) {
        count++;
        data++;
    }
    return count;
}

/* Latin 1 is the first 256 characters of Unicode. */
static weir_status append_text(struct csv_reading *csv, const uint8_t *data, size_t size,
                               struct weir_error *reterr)
{
    if (!csv->reading->window->options->table->source->csv.latin1)
        return weir_buffer_append(&csv->pending, data, size, reterr);
    WEIR_TRY(weir_buffer_reserve(&csv->pending, 2 * size, reterr));
    uint8_t *to = csv->pending.data + csv->pending.size;
    for (size_t i = 0; i < size; i++) {
        if (data[i] < 0x80) {
            *to++ = data[i];
        } else {
            *to++ = (uint8_t)(0xC0 | data[i] >> 6);
            *to++ = (uint8_t)(0x80 | (data[i] & 0x3F));
        }
    }
    csv->pending.size = (size_t)(to - csv->pending.data);
    return WEIR_OK;
}

static weir_status take_header(struct csv_reading *csv, struct weir_bytes header,
                               struct weir_error *reterr)
{
    const struct table_state *table = csv->reading->window->table;
    struct weir_layout layout;
    if (header.size > WEIR_CSV_HEADER_SIZE_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "a header of %zu bytes; at most %u", header.size,
                         WEIR_CSV_HEADER_SIZE_MAX);
    WEIR_TRY(layout_csv(&csv->reading->window->arena, csv->reading->window->options->table,
                        &table->shape.decode, header, &layout, reterr));
    layout.dialect.newline = csv->dialect.newline;
    csv->dialect = layout.dialect;
    csv->headed = true;
    return file_set_layout(csv->reading, &layout, reterr);
}

/* Before the first record: a byte order mark, and how lines end. false: more is needed. */
static weir_status begin(struct csv_reading *csv, bool last, bool *ret_begun,
                         struct weir_error *reterr)
{
    struct weir_buffer *pending = &csv->pending;
    *ret_begun = last ||
                 memchr(pending->data ? pending->data : (uint8_t *)"", '\n', pending->size) ||
                 pending->size > WEIR_CSV_HEADER_SIZE_MAX;
    if (!*ret_begun)
        return WEIR_OK;
    size_t mark = weir_csv_mark_size(pending->data, pending->size);
    if (mark)
        memmove(pending->data, pending->data + mark, pending->size -= mark);
    if (pending->size && !memchr(pending->data, '\n', pending->size) &&
        memchr(pending->data, '\r', pending->size))
        csv->dialect.newline = '\r';
    csv->begun = true;
    return csv->dialect.header ? WEIR_OK : take_header(csv, (struct weir_bytes){0}, reterr);
}

/* Takes records off the beginning of [data, data + size); *ret_used: their bytes. */
static weir_status take_some(struct csv_reading *csv, const uint8_t *data, size_t size, bool last,
                             size_t *ret_used, struct weir_error *reterr)
{
    struct weir_bytes records[SPLIT_ROWS];
    uint32_t most = csv->headed ? SPLIT_ROWS : 1;
    uint32_t count = weir_csv_split(&csv->dialect, data, size, last, records, most, ret_used);
    const uint8_t *at = data;
    for (uint32_t i = 0; i < count; i++) {
        csv->line += lines_in(csv, at, records[i].data);
        at = records[i].data;
        WEIR_TRY(csv->headed ? file_add(csv->reading, csv->line, at, records[i].size, reterr)
                             : take_header(csv, records[i], reterr));
    }
    csv->line += lines_in(csv, at, data + *ret_used);
    return WEIR_OK;
}

/* A record that has no end within what one may have: its beginning, enough to be refused as too
 * large; the next one begins behind the next line end. */
static weir_status take_giant(struct csv_reading *csv, const uint8_t *data, size_t *ret_used,
                              struct weir_error *reterr)
{
    if (!csv->headed)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "the header has no end in %u bytes",
                         WEIR_RECORD_SIZE_MAX);
    WEIR_TRY(file_add(csv->reading, csv->line, data, WEIR_RECORD_SIZE_MAX + 1, reterr));
    *ret_used = WEIR_RECORD_SIZE_MAX + 1;
    csv->line += lines_in(csv, data, data + *ret_used);
    csv->skipping = true;
    return WEIR_OK;
}

static size_t skip_line(struct csv_reading *csv, const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, csv->dialect.newline, size);
    csv->skipping = !end;
    csv->line += end != NULL;
    return end ? (size_t)(end - data) + 1 : size;
}

static weir_status take_all(struct csv_reading *csv, bool last, struct weir_error *reterr)
{
    struct weir_buffer *pending = &csv->pending;
    bool begun = csv->begun;
    if (!begun)
        WEIR_TRY(begin(csv, last, &begun, reterr));
    size_t used = 0, step = 1;
    while (begun && step && used < pending->size) {
        const uint8_t *data = pending->data + used;
        size_t size = pending->size - used;
        if (csv->skipping) {
            step = skip_line(csv, data, size);
        } else {
            WEIR_TRY(take_some(csv, data, size, last, &step, reterr));
            if (step == 0 && size > WEIR_RECORD_SIZE_MAX)
                WEIR_TRY(take_giant(csv, data, &step, reterr));
        }
        used += step;
    }
    if (used)
        memmove(pending->data, pending->data + used, pending->size -= used);
    return WEIR_OK;
}

static weir_status take(void *self, const uint8_t *data, size_t size, struct weir_error *reterr)
{
    struct csv_reading *csv = self;
    WEIR_TRY(append_text(csv, data, size, reterr));
    return take_all(csv, false, reterr);
}

weir_status file_read_csv(struct file_reading *reading, struct weir_error *reterr)
{
    struct csv_reading csv = {.reading = reading,
                              .pending = {.account = reading->window->arena.account}};
    layout_dialect(reading->window->options->table->source, &csv.dialect);
    weir_status status = file_stream(reading, take, &csv, reterr);
    if (status == WEIR_OK)
        status = take_all(&csv, true, reterr);
    weir_buffer_done(&csv.pending);
    return status;
}
