/* Files to runs of records: what all formats share, and lines of JSON. */
#include "scheduler/window/file_int.h"

#include "engine/base/limits.h"
#include "formats/codec/codec.h"

#include <string.h>

#define READ_SIZE (1u << 20)
#define RUN_BYTES (4u << 20)

/* ---- runs ---- */

static weir_status flush(struct file_window *window, struct weir_run_counts *total,
                         struct weir_error *reterr)
{
    const struct weir_progress *progress = &window->options->progress;
    if (window->run_count)
        WEIR_TRY(weir_ingest_runs(window->ingest, window->runs, window->run_count, window->counts,
                                  reterr));
    for (size_t i = 0; i < window->run_count; i++) {
        total->landed += window->counts[i].landed;
        total->refused += window->counts[i].refused;
        total->filtered += window->counts[i].filtered + window->counts[i].tombstones;
        weir_buffer_clear(&window->lines[i].bytes);
        window->lines[i].count = 0;
        weir_arena_reset(&window->lines[i].arena);
    }
    window->run_count = 0;
    int64_t now = weir_steady_ms(window->options->lake->context);
    if (progress->report && now - window->last_report_ms > 250) {
        progress->report(progress->self, window->options->table->name, window->records,
                         window->records, window->bytes);
        window->last_report_ms = now;
    }
    return weir_context_check(window->options->lake->context, reterr);
}

weir_status file_end_run(struct file_reading *reading, struct weir_error *reterr)
{
    struct file_window *window = reading->window;
    struct lines *lines = &window->lines[window->run_count];
    if (lines->count == 0)
        return WEIR_OK;
    const uint8_t *bytes = lines->bytes.data ? lines->bytes.data : (const uint8_t *)"";
    for (size_t i = 0; i < lines->count; i++)
        lines->records[i] = (struct weir_log_record){
            .timestamp_ms = -1, .value = {bytes + lines->starts[i], lines->sizes[i]}};
    window->runs[window->run_count] = (struct weir_run){
        .origin = {.path = reading->entry->path, .rows = lines->rows},
        .records = lines->records,
        .count = lines->count,
        .layout = reading->layout,
        .rows = lines->batch.columns ? &lines->batch : NULL};
    window->run_count++;
    return window->run_count == window->width ? flush(window, &reading->total, reterr) : WEIR_OK;
}

weir_status file_add(struct file_reading *reading, int64_t row, const uint8_t *data, size_t size,
                     struct weir_error *reterr)
{
    struct file_window *window = reading->window;
    struct lines *lines = &window->lines[window->run_count];
    lines->batch = (struct weir_batch){0};
    lines->starts[lines->count] = lines->bytes.size;
    lines->sizes[lines->count] = size;
    lines->rows[lines->count++] = row;
    WEIR_TRY(weir_buffer_append(&lines->bytes, data, size, reterr));
    window->records++;
    if (lines->count == WEIR_BATCH_ROWS || lines->bytes.size >= RUN_BYTES)
        return file_end_run(reading, reterr);
    return WEIR_OK;
}

weir_status file_add_rows(struct file_reading *reading, int64_t row, const struct weir_batch *batch,
                          struct weir_error *reterr)
{
    struct file_window *window = reading->window;
    struct lines *lines = &window->lines[window->run_count];
    WEIR_TRY(weir_batch_gather(&lines->arena, batch, NULL, &lines->batch, reterr));
    for (uint32_t i = 0; i < batch->count; i++) {
        lines->starts[i] = lines->sizes[i] = 0;
        lines->rows[i] = row + i;
    }
    lines->count = batch->count;
    window->records += batch->count;
    return file_end_run(reading, reterr);
}

weir_status file_set_layout(struct file_reading *reading, const struct weir_layout *layout,
                            struct weir_error *reterr)
{
    struct weir_layout *copy;
    WEIR_TRY(file_end_run(reading, reterr));
    WEIR_TRY(weir_arena_zero(&reading->window->arena, 1, sizeof *copy, &copy, reterr));
    *copy = *layout;
    copy->number = ++reading->window->layouts;
    reading->layout = copy;
    return WEIR_OK;
}

/* ---- bytes ---- */

static weir_status unpack(struct file_reading *reading, struct weir_stream_decoder *decoder,
                          const struct weir_buffer *raw, struct weir_buffer *plain,
                          weir_status (*take)(void *self, const uint8_t *data, size_t size,
                                              struct weir_error *reterr),
                          void *self, struct weir_error *reterr)
{
    if (!decoder) /* plain: no copy between */
        return take(self, raw->data, raw->size, reterr);
    for (size_t used = 0; used < raw->size;) {
        size_t taken;
        weir_buffer_clear(plain);
        WEIR_TRY(weir_stream_decode(decoder, raw->data + used, raw->size - used, READ_SIZE * 2,
                                    plain, &taken, reterr));
        WEIR_TRY(take(self, plain->data, plain->size, reterr));
        used += taken;
    }
    return WEIR_OK;
}

static weir_status stream(struct file_reading *reading, struct weir_stream_decoder *decoder,
                          weir_status (*take)(void *self, const uint8_t *data, size_t size,
                                              struct weir_error *reterr),
                          void *self, struct weir_error *reterr)
{
    struct weir_account *account = reading->window->arena.account;
    WEIR_AUTO(weir_buffer) raw = {.account = account}, plain = {.account = account};
    uint64_t size = weir_file_size(reading->file);
    for (uint64_t at = 0; at < size;) {
        weir_buffer_clear(&raw);
        WEIR_TRY(weir_file_read_at(reading->file, at, READ_SIZE, &raw, reterr));
        if (raw.size == 0)
            break;
        at += raw.size;
        reading->window->bytes += (int64_t)raw.size;
        WEIR_TRY(unpack(reading, decoder, &raw, &plain, take, self, reterr));
    }
    for (bool done = !decoder; !done;) {
        weir_buffer_clear(&plain);
        WEIR_TRY(weir_stream_finish(decoder, READ_SIZE * 2, &plain, &done, reterr));
        WEIR_TRY(take(self, plain.data, plain.size, reterr));
    }
    return WEIR_OK;
}

weir_status file_stream(struct file_reading *reading,
                        weir_status (*take)(void *self, const uint8_t *data, size_t size,
                                            struct weir_error *reterr),
                        void *self, struct weir_error *reterr)
{
    enum weir_stream_format format = weir_stream_format_of(reading->entry->name);
    struct weir_stream_decoder *decoder = NULL; /* NULL: plain */
    if (format != WEIR_STREAM_PLAIN)
        WEIR_TRY(weir_stream_decoder_new(reading->window->arena.account, format, &decoder, reterr));
    weir_status status = stream(reading, decoder, take, self, reterr);
    weir_stream_decoder_free(decoder);
    return status;
}

/* ---- lines of JSON ---- */

/* A file being cut into lines. A line that is too long keeps its first bytes, enough to be refused
 * as too large. */
struct cutter {
    struct file_reading *reading;
    int64_t row;
    struct weir_buffer pending; /* a line that is not whole yet */
};

static bool is_blank(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r')
            return false;
    return true;
}

static weir_status add_line(struct cutter *cutter, const uint8_t *data, size_t size,
                            struct weir_error *reterr)
{
    int64_t row = cutter->row++;
    if (row == 0 && size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3; /* a byte order mark belongs to the file, not to its first record */
        size -= 3;
    }
    return is_blank(data, size) ? WEIR_OK : file_add(cutter->reading, row, data, size, reterr);
}

static weir_status add_pending(struct cutter *cutter, const uint8_t *data, size_t size,
                               struct weir_error *reterr)
{
    size_t room = cutter->pending.size > WEIR_RECORD_SIZE_MAX
                      ? 0
                      : WEIR_RECORD_SIZE_MAX + 1 - cutter->pending.size;
    return weir_buffer_append(&cutter->pending, data, size < room ? size : room, reterr);
}

static weir_status cut(void *self, const uint8_t *data, size_t size, struct weir_error *reterr)
{
    struct cutter *cutter = self;
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t line = end ? (size_t)(end - data) : size;
        if (!end)
            return add_pending(cutter, data, size, reterr);
        if (cutter->pending.size) {
            WEIR_TRY(add_pending(cutter, data, line, reterr));
            WEIR_TRY(add_line(cutter, cutter->pending.data, cutter->pending.size, reterr));
            weir_buffer_clear(&cutter->pending);
        } else {
            WEIR_TRY(add_line(cutter, data, line, reterr));
        }
        data += line + 1;
        size -= line + 1;
    }
    return WEIR_OK;
}

static weir_status read_lines(struct file_reading *reading, struct weir_error *reterr)
{
    struct cutter cutter = {.reading = reading,
                            .pending = {.account = reading->window->arena.account}};
    weir_status status = file_stream(reading, cut, &cutter, reterr);
    if (status == WEIR_OK && cutter.pending.size) /* the last line needs no line end */
        status = add_line(&cutter, cutter.pending.data, cutter.pending.size, reterr);
    weir_buffer_done(&cutter.pending);
    return status;
}

/* ---- any format ---- */

static weir_status read_records(struct file_reading *reading, struct weir_error *reterr)
{
    const char *format = reading->window->options->table->source->format;
    if (strcmp(format, "csv") == 0)
        return file_read_csv(reading, reterr);
    if (strcmp(format, "parquet") == 0)
        return file_read_parquet(reading, reterr);
    if (strcmp(format, "avro") == 0)
        return file_read_avro(reading, reterr);
    return read_lines(reading, reterr);
}

weir_status file_take(struct file_window *window, const struct weir_file_entry *entry,
                      struct weir_error *reterr)
{
    struct file_reading reading = {.window = window, .entry = entry};
    weir_status status;
    WEIR_TRY_OUT(status, weir_file_open(&window->source, entry, &reading.file, reterr));
    WEIR_TRY_OUT(status, read_records(&reading, reterr));
    WEIR_TRY_OUT(status, file_end_run(&reading, reterr));
    WEIR_TRY_OUT(status, flush(window, &reading.total, reterr));
    json_array_append_new(window->done,
                          json_pack("{s:s, s:I, s:s, s:I, s:I, s:I}", "path", entry->path, "size",
                                    (json_int_t)entry->size, "etag", entry->etag, "landed",
                                    (json_int_t)reading.total.landed, "refused",
                                    (json_int_t)reading.total.refused, "filtered",
                                    (json_int_t)reading.total.filtered));
out:
    weir_file_close(reading.file);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s", entry->path);
    return status;
}
