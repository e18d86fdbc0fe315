/* NDJSON and CSV files as a table source. Morsels of plain NDJSON are runs of TEXT_MORSEL_SIZE
 * bytes of a file, each with the lines that begin in it; a compressed file is one morsel, and a CSV
 * file too: whether a line end is within quotes is only known from the beginning. */
#include "scheduler/query/text_files.h"

#include "engine/base/limits.h"
#include "formats/codec/codec.h"
#include "formats/csv/csv.h"
#include "formats/json/json.h"

#include <string.h>
#include <strings.h>

#define TEXT_MORSEL_SIZE  (4u << 20)
#define TEXT_READ_SIZE    (1u << 20)
#define TEXT_SAMPLE_FILES 16
#define TEXT_SAMPLE_SIZE  (1u << 20) /* of the first file, decompressed; of others a quarter */
#define TEXT_SAMPLE_LINES 20000

struct text_file {
    struct weir_file *file;
    const char *path;
    uint64_t size;
};

struct text {
    struct weir_account *account;
    struct weir_arena arena;
    enum query_text_format format;
    struct text_file *files;
    size_t file_count;
    struct weir_csv_dialect dialect;
    struct weir_bytes header; /* CSV: the first file's; the others must have the same */
    struct weir_type schema;
    uint64_t row_guess;
};

struct text_cut {
    const struct text_file *file;
    uint64_t from, to; /* plain NDJSON: records that begin in [from, to) */
};

struct weir_scan {
    const struct text *text;
    struct weir_context *context;
    struct weir_account *account;
    struct weir_scan_request request;
    struct weir_scan_counters counters;
    struct text_cut *cuts;
    size_t cut_count;
    uint32_t *fields; /* CSV: of each wanted column */
};

/* The bytes of a file, decompressed, as they are asked for. */
struct text_stream {
    struct weir_context *context; /* NULL: nobody can ask to stop */
    const struct text_file *file;
    struct weir_stream_decoder *decoder; /* NULL: plain */
    struct weir_buffer raw, data;
    size_t raw_at, at; /* taken of raw, of data */
    uint64_t next;     /* byte of the file to read next */
    uint64_t offset;   /* of data[0] in the decompressed file */
    uint64_t to;       /* plain: where to stop reading ahead */
    bool ended;
};

struct weir_morsel {
    struct weir_scan *scan;
    struct text_stream stream;
    uint64_t to;
    bool skip; /* first the rest of a line that is the morsel before's */
    bool header;
    struct weir_json_decoder *json;
    struct weir_csv_decoder *csv;
    struct weir_bytes *records;
};

enum query_text_format query_text_format_of(const char *path)
{
    static const struct {
        const char *end;
        enum query_text_format format;
    } ends[] = {{".ndjson", QUERY_TEXT_NDJSON},
                {".jsonl", QUERY_TEXT_NDJSON},
                {".json", QUERY_TEXT_NDJSON},
                {".csv", QUERY_TEXT_CSV},
                {".tsv", QUERY_TEXT_CSV}};
    size_t size = strlen(path);
    enum weir_stream_format packed = weir_stream_format_of(path);
    if (packed != WEIR_STREAM_PLAIN)
        size -= packed == WEIR_STREAM_GZIP ? 3 : 4;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t length = strlen(ends[i].end);
        if (size >= length && strncasecmp(path + size - length, ends[i].end, length) == 0)
            return ends[i].format;
    }
    return QUERY_TEXT_NONE;
}

/* ---- bytes ---- */

static weir_status stream_open(struct text_stream *stream, struct weir_account *account,
                               struct weir_context *context, const struct text_file *file,
                               uint64_t from, uint64_t to, struct weir_error *reterr)
{
    enum weir_stream_format format = weir_stream_format_of(file->path);
    *stream = (struct text_stream){
        .context = context, .file = file, .next = from, .offset = from, .to = to};
    weir_buffer_init(&stream->raw, account);
    weir_buffer_init(&stream->data, account);
    if (format == WEIR_STREAM_PLAIN)
        return WEIR_OK;
    return weir_stream_decoder_new(account, format, &stream->decoder, reterr);
}

static void stream_close(struct text_stream *stream)
{
    weir_stream_decoder_free(stream->decoder);
    weir_buffer_done(&stream->raw);
    weir_buffer_done(&stream->data);
}

/* One step of decompression: errors of reading name the file themselves, of decoding do not. */
static weir_status stream_unpack(struct text_stream *stream, struct weir_error *reterr)
{
    size_t size = stream->raw.size - stream->raw_at, used = 0;
    weir_status status = size ? weir_stream_decode(stream->decoder,
                                                   stream->raw.data + stream->raw_at, size,
                                                   TEXT_READ_SIZE, &stream->data, &used, reterr)
                              : weir_stream_finish(stream->decoder, TEXT_READ_SIZE, &stream->data,
                                                   &stream->ended, reterr);
    stream->raw_at += used;
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s", stream->file->path);
    return status;
}

static weir_status stream_fill_packed(struct text_stream *stream, struct weir_error *reterr)
{
    struct weir_buffer *raw = &stream->raw;
    size_t before = stream->data.size;
    while (stream->data.size == before && !stream->ended) {
        if (stream->raw_at == raw->size && stream->next < stream->file->size) {
            weir_buffer_clear(raw);
            stream->raw_at = 0;
            WEIR_TRY(
                weir_file_read_at(stream->file->file, stream->next, TEXT_READ_SIZE, raw, reterr));
            stream->next += raw->size;
        }
        WEIR_TRY(stream_unpack(stream, reterr));
    }
    return WEIR_OK;
}

/* More bytes behind those that are not taken yet; reads double while a record is not whole. */
static weir_status stream_fill(struct text_stream *stream, struct weir_error *reterr)
{
    size_t left = stream->data.size - stream->at;
    weir_status status;
    if (stream->context)
        WEIR_TRY(weir_context_check(stream->context, reterr));
    if (left > WEIR_RECORD_SIZE_MAX)
        return weir_fail(reterr, WEIR_CORRUPT, "%s: a record at byte %llu is larger than %u bytes",
                         stream->file->path, (unsigned long long)(stream->offset + stream->at),
                         (unsigned)WEIR_RECORD_SIZE_MAX);
    if (stream->at) {
        memmove(stream->data.data, stream->data.data + stream->at, left);
        stream->data.size = left;
        stream->offset += stream->at;
        stream->at = 0;
    }
    if (stream->decoder) {
        status = stream_fill_packed(stream, reterr);
    } else {
        uint64_t size = left > TEXT_READ_SIZE ? left : TEXT_READ_SIZE;
        if (stream->next < stream->to && stream->to - stream->next < size)
            size = stream->to - stream->next;
        else if (stream->next >= stream->to && left < 65536)
            size = 65536; /* the rest of the last line */
        size_t before = stream->data.size;
        status = weir_file_read_at(stream->file->file, stream->next, size, &stream->data, reterr);
        stream->next += stream->data.size - before;
        stream->ended = stream->next >= stream->file->size;
    }
    return status;
}

/* The number of the line, from 1, that holds a byte of the decompressed file; 0 if that fails. */
static uint64_t stream_line(const struct text *text, const struct text_file *file, uint64_t byte)
{
    struct text_stream stream = {0};
    uint64_t line = 1;
    weir_status status = stream_open(&stream, text->account, NULL, file, 0, file->size, NULL);
    while (status == WEIR_OK && stream.offset < byte) {
        status = stream_fill(&stream, NULL);
        for (size_t i = 0; i < stream.data.size && stream.offset + i < byte; i++)
            line += stream.data.data[i] == '\n';
        stream.at = stream.data.size;
        if (stream.ended)
            break;
    }
    stream_close(&stream);
    return status == WEIR_OK ? line : 0;
}

/* ---- cutting records: complete ones of what is there ---- */

static size_t mark_size(const struct text_stream *stream)
{
    return stream->offset || stream->at ? 0
                                        : weir_csv_mark_size(stream->data.data, stream->data.size);
}

/* Lines that begin before `to`; *ret_over: there are no more of these. */
static uint32_t cut_lines(struct text_stream *stream, uint64_t to, struct weir_bytes *records,
                          uint32_t most, bool *ret_over)
{
    const uint8_t *data = stream->data.data;
    uint32_t count = 0;
    *ret_over = false;
    while (count < most) {
        size_t left = stream->data.size - stream->at, size, blank = 0;
        *ret_over = stream->offset + stream->at >= to || (stream->ended && left == 0);
        if (*ret_over || left == 0)
            break;
        const uint8_t *begin = data + stream->at, *stop = memchr(begin, '\n', left);
        if (!stop && !stream->ended)
            break;
        size = stop ? (size_t)(stop - begin) : left;
        stream->at += stop ? size + 1 : size;
        while (blank < size &&
               (begin[blank] == ' ' || begin[blank] == '\t' || begin[blank] == '\r'))
            blank++;
        if (blank < size)
            records[count++] = (struct weir_bytes){begin, size};
    }
    return count;
}

/* Fills until there are records; 0 = no more. They live until the next call. */
static weir_status next_records(struct weir_morsel *morsel, uint32_t most, uint32_t *ret_count,
                                struct weir_error *reterr)
{
    const struct text *text = morsel->scan->text;
    struct text_stream *stream = &morsel->stream;
    bool over = false;
    *ret_count = 0;
    for (;;) {
        if (stream->data.size > stream->at)
            stream->at += mark_size(stream);
        if (morsel->skip && stream->data.size > stream->at) {
            const uint8_t *begin = stream->data.data + stream->at;
            const uint8_t *stop = memchr(begin, '\n', stream->data.size - stream->at);
            stream->at = stop ? (size_t)(stop + 1 - stream->data.data) : stream->data.size;
            morsel->skip = !stop;
        }
        if (text->format == QUERY_TEXT_NDJSON) {
            *ret_count = cut_lines(stream, morsel->to, morsel->records, most, &over);
        } else {
            size_t left = stream->data.size - stream->at, used = 0;
            *ret_count = left ? weir_csv_split(&text->dialect, stream->data.data + stream->at, left,
                                               stream->ended, morsel->records, most, &used)
                              : 0;
            stream->at += used;
            over = stream->ended && *ret_count == 0;
        }
        if (*ret_count || over)
            return WEIR_OK;
        if (stream->ended) /* only a line that is skipped, or blanks */
            return WEIR_OK;
        uint64_t before = stream->next;
        WEIR_TRY(stream_fill(stream, reterr));
        atomic_fetch_add(&morsel->scan->counters.bytes_read, stream->next - before);
    }
}

/* ---- the sample, and the schema of it ---- */

static void not_required(struct weir_type *type)
{
    for (uint32_t i = 0; i < type->child_count; i++) {
        if (type->id != WEIR_MAP || i > 0)
            type->children[i].required = false;
        not_required(&type->children[i].type);
    }
}

static weir_status sample_file(struct text *text, const struct text_file *file, size_t size,
                               struct text_stream *stream, struct weir_error *reterr)
{
    WEIR_TRY(stream_open(stream, text->account, NULL, file, 0, size, reterr));
    /* A first record larger than the sample is read whole. */
    while (!stream->ended &&
           (stream->data.size < size || (stream->data.size < WEIR_RECORD_SIZE_MAX &&
                                         !memchr(stream->data.data, '\n', stream->data.size))))
        WEIR_TRY(stream_fill(stream, reterr));
    stream->at = mark_size(stream);
    return WEIR_OK;
}

static void guess_rows(struct text *text, const struct text_stream *stream, uint64_t rows,
                       uint64_t bytes)
{
    uint64_t all = 0;
    for (size_t i = 0; i < text->file_count; i++)
        all += text->files[i].size;
    if (rows && bytes)
        text->row_guess = (uint64_t)((double)all * (stream->decoder ? 5 : 1) /
                                     ((double)bytes / (double)rows)) +
                          1;
}

static weir_status infer_json(struct text *text, struct weir_arena *arena, size_t files,
                              struct text_stream *streams, struct weir_error *reterr)
{
    struct weir_bytes *records;
    size_t count = 0, bytes = 0;
    bool over;
    WEIR_TRY(weir_arena_zero(arena, TEXT_SAMPLE_LINES * 2, sizeof *records, &records, reterr));
    for (size_t i = 0; i < files && count < TEXT_SAMPLE_LINES * 2; i++) {
        const struct text_file *file = &text->files[i * text->file_count / files];
        size_t most = i == 0 ? TEXT_SAMPLE_LINES : TEXT_SAMPLE_LINES / TEXT_SAMPLE_FILES;
        WEIR_TRY(sample_file(text, file, i == 0 ? TEXT_SAMPLE_SIZE : TEXT_SAMPLE_SIZE / 4,
                             &streams[i], reterr));
        uint32_t cut = cut_lines(&streams[i], UINT64_MAX, records + count, (uint32_t)most, &over);
        weir_status status = cut ? weir_json_infer(arena, records + count, cut, &text->schema,
                                                   reterr)
                                 : WEIR_OK;
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "%s", file->path);
            weir_error_hint(reterr, "JSON files are read that hold one object a line (NDJSON)");
            return status;
        }
        bytes += streams[i].at;
        count += cut;
    }
    if (!count)
        return weir_fail(reterr, WEIR_USAGE, "%s: there is no record to tell the columns by",
                         text->files[0].path);
    guess_rows(text, &streams[0], count, bytes);
    struct weir_type schema;
    WEIR_TRY(weir_json_infer(arena, records, count, &schema, reterr));
    return weir_type_copy(&text->arena, &schema, &text->schema, reterr);
}

static weir_status infer_csv(struct text *text, struct text_stream *stream,
                             struct weir_error *reterr)
{
    struct weir_csv_dialect given = {.header = -1};
    struct weir_bytes first;
    size_t used;
    if (strstr(text->files[0].path, ".tsv"))
        given.delimiter = '\t';
    WEIR_TRY(sample_file(text, &text->files[0], WEIR_CSV_SAMPLE_SIZE, stream, reterr));
    const uint8_t *data = stream->data.data + stream->at;
    size_t size = stream->data.size - stream->at;
    weir_status status = weir_csv_sniff(&text->arena, data, size, stream->ended, &given,
                                        &text->dialect, &text->schema, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "%s", text->files[0].path);
        return status;
    }
    if (weir_csv_split(&text->dialect, data, size, stream->ended, &first, 1, &used)) {
        char *copy;
        WEIR_TRY(weir_arena_alloc(&text->arena, first.size + 1, &copy, reterr));
        memcpy(copy, first.data, first.size);
        text->header = (struct weir_bytes){(const uint8_t *)copy, first.size};
    }
    guess_rows(text, stream, 1, used);
    return WEIR_OK;
}

static weir_status infer(struct text *text, struct weir_error *reterr)
{
    size_t files = text->file_count < TEXT_SAMPLE_FILES ? text->file_count : TEXT_SAMPLE_FILES;
    struct text_stream streams[TEXT_SAMPLE_FILES] = {0};
    struct weir_arena arena;
    int32_t last = 0;
    weir_arena_init(&arena, text->account);
    weir_status status = text->format == QUERY_TEXT_CSV
                             ? infer_csv(text, &streams[0], reterr)
                             : infer_json(text, &arena, files, streams, reterr);
    for (size_t i = 0; i < TEXT_SAMPLE_FILES; i++)
        if (streams[i].file)
            stream_close(&streams[i]);
    weir_arena_done(&arena);
    WEIR_TRY(status);
    not_required(&text->schema);
    weir_type_assign_ids(&text->schema, &last);
    return WEIR_OK;
}

/* ---- the source's functions ---- */

static const struct weir_type *text_schema(void *self)
{
    struct text *text = self;
    return &text->schema;
}

static uint64_t text_row_count(void *self, bool *ret_exact)
{
    struct text *text = self;
    *ret_exact = false;
    return text->row_guess;
}

static void text_close(struct weir_scan *scan)
{
    if (!scan)
        return;
    weir_free(scan->cuts);
    weir_free(scan->fields);
    weir_free(scan);
}

static bool splits(const struct text *text, const struct text_file *file)
{
    return text->format == QUERY_TEXT_NDJSON &&
           weir_stream_format_of(file->path) == WEIR_STREAM_PLAIN;
}

static weir_status scan_cut(struct weir_scan *scan, struct weir_error *reterr)
{
    const struct text *text = scan->text;
    size_t count = 0;
    for (size_t i = 0; i < text->file_count; i++)
        count += splits(text, &text->files[i]) ? text->files[i].size / TEXT_MORSEL_SIZE + 1 : 1;
    WEIR_TRY(weir_alloc_zero(scan->account, count, sizeof *scan->cuts, &scan->cuts, reterr));
    for (size_t i = 0; i < text->file_count; i++) {
        const struct text_file *file = &text->files[i];
        if (!splits(text, file)) {
            scan->cuts[scan->cut_count++] = (struct text_cut){file, 0, UINT64_MAX};
            continue;
        }
        for (uint64_t from = 0; from < file->size; from += TEXT_MORSEL_SIZE)
            scan->cuts[scan->cut_count++] = (struct text_cut){file, from, from + TEXT_MORSEL_SIZE};
    }
    return WEIR_OK;
}

static weir_status text_open(void *self, struct weir_context *context, struct weir_account *account,
                             const struct weir_scan_request *request, struct weir_scan **ret_scan,
                             struct weir_error *reterr)
{
    const struct weir_type *wanted = request->wanted;
    struct text *text = self;
    struct weir_scan *scan;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *scan, &scan, reterr));
    scan->text = text;
    scan->context = context;
    scan->account = account;
    scan->request = *request;
    if (!scan->request.batch_rows)
        scan->request.batch_rows = WEIR_BATCH_ROWS;
    WEIR_TRY_OUT(status, weir_alloc_zero(account, (size_t)wanted->child_count + 1,
                                         sizeof *scan->fields, &scan->fields, reterr));
    for (uint32_t i = 0; i < wanted->child_count; i++)
        for (uint32_t j = 0; j < text->schema.child_count; j++)
            if (strcmp(wanted->children[i].name, text->schema.children[j].name) == 0)
                scan->fields[i] = j;
    WEIR_TRY_OUT(status, scan_cut(scan, reterr));
    *ret_scan = scan;
    scan = NULL;
out:
    text_close(scan);
    return status;
}

static size_t text_morsel_count(const struct weir_scan *scan)
{
    return scan->cut_count;
}

static void text_morsel_close(struct weir_morsel *morsel)
{
    if (!morsel)
        return;
    stream_close(&morsel->stream);
    weir_json_decoder_free(morsel->json);
    weir_csv_decoder_free(morsel->csv);
    weir_free(morsel->records);
    weir_free(morsel);
}

static weir_status morsel_start(struct weir_morsel *morsel, const struct text_cut *cut,
                                struct weir_error *reterr)
{
    static const struct weir_json_options options = {0};
    struct weir_scan *scan = morsel->scan;
    const struct text *text = scan->text;
    morsel->to = cut->to;
    morsel->skip = cut->from > 0;
    morsel->header = text->format == QUERY_TEXT_CSV && text->dialect.header == 1;
    WEIR_TRY(stream_open(&morsel->stream, scan->account, scan->context, cut->file,
                         cut->from ? cut->from - 1 : 0, cut->to, reterr));
    WEIR_TRY(weir_alloc_zero(scan->account, scan->request.batch_rows, sizeof *morsel->records,
                             &morsel->records, reterr));
    if (text->format == QUERY_TEXT_CSV)
        return weir_csv_decoder_new(scan->account, scan->request.wanted, scan->fields,
                                    &text->dialect, &morsel->csv, reterr);
    return weir_json_decoder_new(scan->account, scan->request.wanted, &options, &morsel->json,
                                 reterr);
}

static weir_status text_morsel_open(struct weir_scan *scan, size_t index,
                                    struct weir_morsel **ret_morsel, struct weir_error *reterr)
{
    struct weir_morsel *morsel;
    WEIR_TRY(weir_alloc_zero(scan->account, 1, sizeof *morsel, &morsel, reterr));
    morsel->scan = scan;
    weir_status status = morsel_start(morsel, &scan->cuts[index], reterr);
    if (status != WEIR_OK) {
        text_morsel_close(morsel);
        return status;
    }
    if (scan->cuts[index].from == 0)
        atomic_fetch_add(&scan->counters.files_read, 1);
    *ret_morsel = morsel;
    return WEIR_OK;
}

static weir_status refuse(struct weir_morsel *morsel, const struct weir_refusal *refusal,
                          struct weir_error *reterr)
{
    const struct text_stream *stream = &morsel->stream;
    uint64_t byte = stream->offset +
                    (uint64_t)(morsel->records[refusal->record].data - stream->data.data);
    uint64_t line = stream_line(morsel->scan->text, stream->file, byte);
    weir_status status = weir_fail(reterr, WEIR_CORRUPT, "%s: line %llu, byte %u of it: %s",
                                   stream->file->path, (unsigned long long)line,
                                   refusal->position == UINT32_MAX ? 0 : refusal->position,
                                   refusal->message);
    weir_error_hint(reterr, "columns and types are inferred from the beginning of the files; mend "
                            "the record, or leave its file out of the path");
    return status;
}

/* Each file's first record is the header of the first file. */
static weir_status header_check(struct weir_morsel *morsel, struct weir_error *reterr)
{
    struct weir_bytes want = morsel->scan->text->header;
    uint32_t count;
    morsel->header = false;
    WEIR_TRY(next_records(morsel, 1, &count, reterr));
    if (count == 0 || (morsel->records[0].size == want.size &&
                       memcmp(morsel->records[0].data, want.data, want.size) == 0))
        return WEIR_OK;
    return weir_fail(reterr, WEIR_USAGE, "%s: its first line is another than that of %s",
                     morsel->stream.file->path, morsel->scan->text->files[0].path);
}

static weir_status text_morsel_next(struct weir_morsel *morsel, struct weir_arena *arena,
                                    struct weir_batch *ret_batch, bool *ret_end,
                                    struct weir_error *reterr)
{
    struct weir_scan *scan = morsel->scan;
    const struct weir_scan_request *request = &scan->request;
    struct weir_selection selection;
    struct weir_decoded decoded;
    uint32_t count;
    *ret_end = false;
    if (morsel->header)
        WEIR_TRY(header_check(morsel, reterr));
    for (;;) {
        WEIR_TRY(next_records(morsel, request->batch_rows, &count, reterr));
        if (count == 0)
            break;
        WEIR_TRY(
            morsel->csv
                ? weir_csv_decode(morsel->csv, morsel->records, count, arena, &decoded, reterr)
                : weir_json_decode(morsel->json, morsel->records, count, arena, &decoded, reterr));
        if (decoded.refusal_count)
            return refuse(morsel, &decoded.refusals[0], reterr);
        atomic_fetch_add(&scan->counters.rows_read, count);
        *ret_batch = decoded.batch;
        ret_batch->type = request->wanted;
        if (!request->filter)
            return WEIR_OK;
        WEIR_TRY(
            request->filter->select(request->filter->self, ret_batch, arena, &selection, reterr));
        if (selection.count == 0)
            continue;
        if (selection.count < count) {
            struct weir_batch all = *ret_batch;
            WEIR_TRY(weir_batch_gather(arena, &all, &selection, ret_batch, reterr));
            ret_batch->type = request->wanted;
            ret_batch->count = selection.count;
        }
        return WEIR_OK;
    }
    *ret_batch = (struct weir_batch){.type = request->wanted};
    *ret_end = true;
    return WEIR_OK;
}

static const struct weir_scan_counters *text_counters(const struct weir_scan *scan)
{
    return &scan->counters;
}

static void text_free(void *self)
{
    struct text *text = self;
    if (!text)
        return;
    weir_arena_done(&text->arena);
    weir_free(text->files);
    weir_free(text);
}

#define TEXT_OPERATIONS(name)                                                                      \
    {                                                                                              \
        .kind = name, .schema = text_schema, .row_count = text_row_count, .open = text_open,       \
        .morsel_count = text_morsel_count, .morsel_open = text_morsel_open,                        \
        .morsel_next = text_morsel_next, .morsel_close = text_morsel_close,                        \
        .counters = text_counters, .close = text_close, .free = text_free                          \
    }
static const struct weir_table_source_operations ndjson_operations = TEXT_OPERATIONS("ndjson");
static const struct weir_table_source_operations csv_operations = TEXT_OPERATIONS("csv");

weir_status query_text_source(struct weir_account *account, enum query_text_format format,
                              struct weir_file *const *files, const struct weir_file_entry *entries,
                              size_t count, struct weir_table_source *ret_source,
                              struct weir_error *reterr)
{
    struct text *text;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *text, &text, reterr));
    text->account = account;
    text->format = format;
    weir_arena_init(&text->arena, account);
    WEIR_TRY_OUT(status,
                 weir_alloc_zero(account, count + 1, sizeof *text->files, &text->files, reterr));
    for (; text->file_count < count; text->file_count++) {
        size_t i = text->file_count, size = strlen(entries[i].path) + 1;
        char *path;
        WEIR_TRY_OUT(status, weir_arena_alloc(&text->arena, size, &path, reterr));
        memcpy(path, entries[i].path, size);
        text->files[i] = (struct text_file){files[i], path, weir_file_size(files[i])};
    }
    WEIR_TRY_OUT(status, infer(text, reterr));
    *ret_source = (struct weir_table_source){
        format == QUERY_TEXT_CSV ? &csv_operations : &ndjson_operations, text};
    text = NULL;
out:
    text_free(text);
    return status;
}
