/* What a person does with refused rows: look, try again after a mend, let go. Retry lands by
 * identity: the offsets join `retried` in the data commit, which is tested against the base: none
 * retried yet and every letter's file still in force. protocol.md 7. */
#include "scheduler/window/table.h"

#include "formats/parquet/parquet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct source {
    struct weir_lake *lake;
    const char *name;
};

static weir_status source_read(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                               struct weir_error *reterr)
{
    struct source *source = self;
    return source->lake->store.operations->get(source->lake->store.self, source->name, offset, size,
                                               out, NULL, reterr);
}

static struct weir_bytes bytes_at(const struct weir_vector *vector, uint32_t row)
{
    if (!weir_vector_valid(vector, row))
        return (struct weir_bytes){0};
    return (struct weir_bytes){(const uint8_t *)vector->values + vector->offsets[row],
                               (size_t)(vector->offsets[row + 1] - vector->offsets[row])};
}

static weir_status text_at(struct weir_arena *arena, const struct weir_vector *vector, uint32_t row,
                           const char **ret_text, struct weir_error *reterr)
{
    struct weir_bytes bytes = bytes_at(vector, row);
    char *text;
    WEIR_TRY(weir_arena_copy(arena, bytes.data, bytes.size, &text, reterr));
    *ret_text = text;
    return WEIR_OK;
}

/* The `retried` key of a letter: of its partition for Kafka (cluster and incarnation by the file's
 * ranges), of its path for files. */
static void retried_key(char *key, size_t size, const json_t *file,
                        const struct weir_letter *letter)
{
    snprintf(key, size, "%s", letter->path ? letter->path : "");
    const char *name;
    json_t *range;
    json_object_foreach(json_object_get(file, "ranges"), name, range)
    {
        char tail[32];
        snprintf(tail, sizeof tail, "/%d", letter->partition);
        size_t name_size = strlen(name), tail_size = strlen(tail);
        const char *slash = strchr(name, '/');
        if (!letter->topic || !slash || name_size < tail_size ||
            strcmp(name + name_size - tail_size, tail) != 0)
            continue;
        if (strncmp(slash + 1, letter->topic, strlen(letter->topic)) == 0 &&
            slash[1 + strlen(letter->topic)] == '/')
            snprintf(key, size, "%s", name);
    }
}

struct visiting {
    struct weir_lake *lake;
    const json_t *truth;
    weir_status (*visit)(void *argument, const struct weir_letter *letter, const char *key,
                         const json_t *file, struct weir_error *reterr);
    void *argument;
    struct weir_schema schema;
    bool is_kafka;
};

static weir_status visit_row(struct visiting *visiting, const json_t *file,
                             const struct weir_batch *batch, uint32_t row, struct weir_arena *arena,
                             struct weir_error *reterr)
{
    const struct weir_vector *c = batch->columns, *origin = c[4].children;
    struct weir_letter letter = {
        .raw = bytes_at(&c[0], row),
        .position = weir_vector_valid(&c[3], row) ? ((const int64_t *)c[3].values)[row] : -1,
        .timestamp_ms = -1};
    WEIR_TRY(text_at(arena, &c[1], row, &letter.reason, reterr));
    WEIR_TRY(text_at(arena, &c[2], row, &letter.message, reterr));
    letter.file = json_string_value(json_object_get(file, "path"));
    if (visiting->is_kafka) {
        WEIR_TRY(text_at(arena, &origin[0], row, &letter.topic, reterr));
        letter.partition = ((const int32_t *)origin[1].values)[row];
        letter.offset_or_row = ((const int64_t *)origin[2].values)[row];
        letter.timestamp_ms = weir_vector_valid(&origin[3], row)
                                  ? ((const int64_t *)origin[3].values)[row] / 1000
                                  : -1;
        letter.key = bytes_at(&origin[4], row);
    } else {
        WEIR_TRY(text_at(arena, &origin[0], row, &letter.path, reterr));
        letter.offset_or_row = ((const int64_t *)origin[1].values)[row];
    }
    char key[1100];
    retried_key(key, sizeof key, file, &letter);
    if (weir_intervals_has(visiting->truth, "retried", key, letter.offset_or_row))
        return WEIR_OK;
    return visiting->visit(visiting->argument, &letter, key, file, reterr);
}

static weir_status visit_file(struct visiting *visiting, const json_t *file,
                              struct weir_error *reterr)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    struct source source = {visiting->lake,
                            path ? weir_store_name(&visiting->lake->store, path) : NULL};
    if (!source.name)
        return weir_fail(reterr, WEIR_CORRUPT, "a list of letters names %s, outside the warehouse",
                         path ? path : "nothing");
    struct weir_parquet_reader *reader;
    struct weir_arena arena;
    struct weir_parquet_source from = {source_read, &source,
                                       (uint64_t)json_integer_value(json_object_get(file, "size"))};
    weir_status status = weir_parquet_reader_new(&visiting->lake->context->memory, from,
                                                 &visiting->schema.root, &reader, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "%s", source.name);
        return status;
    }
    weir_arena_init(&arena, &visiting->lake->context->memory);
    for (;;) {
        struct weir_batch batch;
        weir_arena_reset(&arena);
        status = weir_parquet_reader_next(reader, WEIR_BATCH_ROWS, &arena, &batch, reterr);
        if (status != WEIR_OK || batch.count == 0)
            break;
        for (uint32_t row = 0; status == WEIR_OK && row < batch.count; row++)
            status = visit_row(visiting, file, &batch, row, &arena, reterr);
        if (status != WEIR_OK)
            break;
    }
    weir_arena_done(&arena);
    weir_parquet_reader_free(reader);
    return status;
}

static weir_status visit_all(struct visiting *visiting, const json_t *list,
                             struct weir_error *reterr)
{
    size_t at;
    json_t *file;
    json_array_foreach(json_object_get(list, "files"), at, file)
        WEIR_TRY(visit_file(visiting, file, reterr));
    return WEIR_OK;
}

struct plain {
    weir_status (*visit)(void *argument, const struct weir_letter *letter);
    void *argument;
};

static weir_status visit_plain(void *argument, const struct weir_letter *letter, const char *key,
                               const json_t *file, struct weir_error *reterr)
{
    struct plain *plain = argument;
    return plain->visit(plain->argument, letter);
}

weir_status weir_letters_visit(struct weir_lake *lake, const struct weir_table_config *config,
                               const struct weir_table *table,
                               weir_status (*visit)(void *argument,
                                                    const struct weir_letter *letter),
                               void *argument, struct weir_error *reterr)
{
    struct plain plain = {visit, argument};
    struct visiting visiting = {.lake = lake,
                                .visit = visit_plain,
                                .argument = &plain,
                                .is_kafka = config->source->is_kafka};
    struct weir_arena arena;
    json_t *truth = NULL, *list = NULL;
    weir_arena_init(&arena, &lake->context->memory);
    weir_status status;
    WEIR_TRY_OUT(
        status, weir_quarantine_schema(&arena, config->source->is_kafka, &visiting.schema, reterr));
    WEIR_TRY_OUT(status, weir_truth(&lake->store, &lake->context->memory, table->metadata, "main",
                                    &truth, reterr));
    WEIR_TRY_OUT(status, weir_letters_read(lake, truth, WEIR_LETTERS, &list, reterr));
    visiting.truth = truth;
    status = visit_all(&visiting, list, reterr);
out:
    json_decref(truth);
    json_decref(list);
    weir_arena_done(&arena);
    return status;
}

/* ---- retry ---- */

/* Letters kept for one retry, in memory: a quarantine that does not fit memory_limit is retried by
 * reason. */
struct kept {
    struct weir_log_record record;
    const char *topic, *path, *key;
    int32_t partition;
    int64_t row;
    const char *file;        /* of letters, where it is */
    struct weir_refused why; /* it is refused today */
    bool taken;              /* landed, filtered or discarded */
};

struct retry {
    const struct weir_window_options *options;
    struct table_state *table;
    struct weir_arena arena;
    const char *reason;
    struct kept *kept;
    size_t count, capacity;
    json_t *list;   /* the letters in force when it began */
    json_t *files;  /* object: path -> true, of letters to be written anew */
    json_t *ranges; /* array, one for each new file of letters */
    json_t *taken;  /* object: key -> [offset...] */
    struct weir_ingest *ingest;
    struct landing landing; /* set while landing */
    bool discard;
};

static weir_status keep_letter(void *argument, const struct weir_letter *letter, const char *key,
                               const json_t *file, struct weir_error *reterr)
{
    struct retry *retry = argument;
    if (retry->reason && strcmp(retry->reason, letter->reason) != 0)
        return WEIR_OK;
    if (retry->count == retry->capacity) {
        size_t capacity = retry->capacity ? retry->capacity * 2 : 1024;
        WEIR_TRY(weir_realloc(&retry->kept, &retry->options->lake->context->memory,
                              capacity * sizeof *retry->kept, reterr));
        retry->capacity = capacity;
    }
    struct kept kept = {.partition = letter->partition,
                        .row = letter->offset_or_row,
                        .file = letter->file,
                        .why = {.position = letter->position}};
    char *text;
    WEIR_TRY(weir_arena_copy(&retry->arena, letter->reason, strlen(letter->reason), &text, reterr));
    kept.why.reason = text;
    WEIR_TRY(
        weir_arena_copy(&retry->arena, letter->message, strlen(letter->message), &text, reterr));
    kept.why.message = text;
    WEIR_TRY(weir_arena_copy(&retry->arena, key, strlen(key), &text, reterr));
    kept.key = text;
    if (letter->topic) {
        WEIR_TRY(
            weir_arena_copy(&retry->arena, letter->topic, strlen(letter->topic), &text, reterr));
        kept.topic = text;
    } else {
        WEIR_TRY(weir_arena_copy(&retry->arena, letter->path, strlen(letter->path), &text, reterr));
        kept.path = text;
    }
    kept.record = (struct weir_log_record){.offset = letter->offset_or_row,
                                           .timestamp_ms = letter->timestamp_ms};
    if (letter->raw.data) {
        WEIR_TRY(weir_arena_copy(&retry->arena, letter->raw.data, letter->raw.size, &text, reterr));
        kept.record.value = (struct weir_bytes){(const uint8_t *)text, letter->raw.size};
    }
    if (letter->key.data) {
        WEIR_TRY(weir_arena_copy(&retry->arena, letter->key.data, letter->key.size, &text, reterr));
        kept.record.key = (struct weir_bytes){(const uint8_t *)text, letter->key.size};
    }
    retry->kept[retry->count++] = kept;
    return WEIR_OK;
}

static int by_origin(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* Its place joins `retried`, and its file is written anew without it. */
static weir_status take(struct retry *retry, struct kept *kept, struct weir_error *reterr)
{
    json_t *list = json_object_get(retry->taken, kept->key);
    if (!list) {
        list = json_array();
        json_object_set_new(retry->taken, kept->key, list);
    }
    kept->taken = true;
    if (json_object_set_new(retry->files, kept->file, json_true()) != 0 ||
        json_array_append_new(list, json_integer(kept->row)) != 0)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a retry");
    return WEIR_OK;
}

/* Still refused: for the same reason, or its file is written anew with today's. */
static weir_status renew(struct retry *retry, struct kept *kept, struct weir_error *reterr)
{
    struct weir_refused why = weir_ingest_why(retry->ingest);
    char *text;
    if (strcmp(why.reason, kept->why.reason) == 0 && strcmp(why.message, kept->why.message) == 0)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(&retry->arena, why.message, strlen(why.message), &text, reterr));
    why.message = text;
    WEIR_TRY(weir_arena_copy(&retry->arena, why.reason, strlen(why.reason), &text, reterr));
    why.reason = text;
    kept->why = why;
    if (json_object_set_new(retry->files, kept->file, json_true()) != 0)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a retry");
    return WEIR_OK;
}

static struct weir_run one_run(const struct kept *kept)
{
    return (struct weir_run){.origin = {.topic = kept->topic,
                                        .partition = kept->partition,
                                        .path = kept->path,
                                        .rows = &kept->row},
                             .records = &kept->record,
                             .count = 1};
}

/* One record at a time tells which ones are good now. */
static weir_status ingest_kept(struct retry *retry, struct weir_error *reterr)
{
    for (size_t i = 0; i < retry->count; i++) {
        struct kept *kept = &retry->kept[i];
        struct weir_run run = one_run(kept);
        struct weir_run_counts counts;
        WEIR_TRY(weir_ingest_runs(retry->ingest, &run, 1, &counts, reterr));
        WEIR_TRY(counts.refused ? renew(retry, kept, reterr) : take(retry, kept, reterr));
        WEIR_TRY(weir_context_check(retry->options->lake->context, reterr));
    }
    return WEIR_OK;
}

/* ---- files of letters written anew ---- */

/* One file being copied without the letters that were taken. */
struct copying {
    struct retry *retry;
    bool written;
};

static weir_status copy_letter(void *argument, const struct weir_letter *letter, const char *key,
                               const json_t *file, struct weir_error *reterr)
{
    struct copying *copying = argument;
    struct retry *retry = copying->retry;
    struct kept wanted = {.key = key,
                          .row = letter->offset_or_row,
                          .topic = letter->topic,
                          .path = letter->path,
                          .partition = letter->partition,
                          .record = {.offset = letter->offset_or_row,
                                     .timestamp_ms = letter->timestamp_ms,
                                     .key = letter->key,
                                     .value = letter->raw},
                          .why = {letter->reason, letter->message, letter->position}};
    const struct kept *kept = retry->count ? bsearch(&wanted, retry->kept, retry->count,
                                                     sizeof *retry->kept, by_origin)
                                           : NULL;
    if (kept && kept->taken)
        return WEIR_OK;
    struct weir_run run = one_run(&wanted);
    copying->written = true;
    return weir_ingest_letter(retry->ingest, &run, kept ? &kept->why : &wanted.why, reterr);
}

/* Each file by itself: its ranges say which cluster and incarnation its offsets are of. */
static weir_status rewrite_letters(struct retry *retry, struct weir_error *reterr)
{
    struct copying copying = {retry, false};
    struct visiting visiting = {.lake = retry->options->lake,
                                .truth = retry->table->truth,
                                .visit = copy_letter,
                                .argument = &copying,
                                .is_kafka = retry->options->table->source->is_kafka};
    size_t at;
    json_t *file;
    WEIR_TRY(weir_quarantine_schema(&retry->arena, visiting.is_kafka, &visiting.schema, reterr));
    json_array_foreach(json_object_get(retry->list, "files"), at, file)
    {
        if (!json_object_get(retry->files, json_string_value(json_object_get(file, "path"))))
            continue;
        copying.written = false;
        WEIR_TRY(visit_file(&visiting, file, reterr));
        WEIR_TRY(weir_ingest_letters_end(retry->ingest, reterr));
        json_t *ranges = json_object_get(file, "ranges");
        if (copying.written &&
            json_array_append_new(retry->ranges, ranges ? json_incref(ranges) : json_null()) != 0)
            return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a retry");
    }
    return WEIR_OK;
}

/* ---- landing ---- */

/* None of them retried yet, and every file they came from still in force. */
static enum weir_test retry_test(void *self, const json_t *state)
{
    struct retry *retry = self;
    json_t *list;
    if (weir_letters_read(retry->options->lake, state, WEIR_LETTERS, &list, NULL) != WEIR_OK)
        return WEIR_TEST_DROP;
    size_t at, found = 0;
    json_t *file, *offset;
    json_array_foreach(json_object_get(list, "files"), at, file)
        found += json_object_get(retry->files, json_string_value(json_object_get(file, "path"))) !=
                 NULL;
    bool all = found == json_object_size(retry->files);
    json_decref(list);
    const char *key;
    json_t *offsets;
    json_object_foreach(retry->taken, key, offsets) json_array_foreach(offsets, at, offset)
        all &= !weir_intervals_has(state, "retried", key, json_integer_value(offset));
    return all ? WEIR_TEST_GO : WEIR_TEST_DROP;
}

static weir_status retry_overlay(void *self, json_t *state, int64_t snapshot_id,
                                 struct weir_error *reterr)
{
    struct retry *retry = self;
    WEIR_TRY(landing_letters(&retry->landing, state, snapshot_id, reterr));
    const char *key;
    json_t *offsets, *offset;
    size_t at;
    json_object_foreach(retry->taken, key, offsets) json_array_foreach(offsets, at, offset)
        WEIR_TRY(weir_intervals_add(state, "retried", key, json_integer_value(offset),
                                    json_integer_value(offset) + 1, reterr));
    return WEIR_OK;
}

static weir_status land_retry(struct retry *retry, const struct weir_ingest_result *result,
                              json_t *outcome, struct weir_error *reterr)
{
    struct landing *landing = &retry->landing;
    WEIR_TRY(landing_init(landing, retry->options, retry->table, result, reterr));
    landing->letters_gone = retry->files;
    landing->letter_ranges = json_incref(retry->ranges);
    json_object_set(landing->receipt, retry->discard ? "discarded" : "retried", retry->taken);
    struct weir_work work = {
        .kind = retry->discard ? "discard" : "retry",
        .operation = "append",
        .epoch = json_integer_value(json_object_get(retry->table->truth, "epoch")),
        .test = retry_test,
        .overlay = retry_overlay,
        .self = retry,
        .files = result->files,
        .file_count = result->file_count,
        .summary = landing->summary,
        .receipt = landing->receipt,
        .properties = landing->properties,
        .schema = retry->table->shape.changed ? &retry->table->shape.schema : NULL};
    enum weir_landing how;
    int64_t id = 0;
    weir_status status = weir_land(retry->options->lake, &retry->table->table, &work, &how, &id,
                                   reterr);
    landing_done(landing);
    if (status == WEIR_OK && how != WEIR_LANDED)
        return weir_fail(reterr, WEIR_PRECONDITION,
                         "%s changed meanwhile; nothing was done, try again",
                         retry->options->table->name);
    if (status == WEIR_OK)
        outcome_result(outcome, result, id);
    return status;
}

static weir_status collect(struct retry *retry, struct weir_error *reterr)
{
    struct visiting visiting = {.lake = retry->options->lake,
                                .truth = retry->table->truth,
                                .visit = keep_letter,
                                .argument = retry,
                                .is_kafka = retry->options->table->source->is_kafka};
    WEIR_TRY(weir_quarantine_schema(&retry->arena, visiting.is_kafka, &visiting.schema, reterr));
    WEIR_TRY(weir_letters_read(retry->options->lake, retry->table->truth, WEIR_LETTERS,
                               &retry->list, reterr));
    weir_status status = visit_all(&visiting, retry->list, reterr);
    if (status == WEIR_OK && retry->count)
        qsort(retry->kept, retry->count, sizeof *retry->kept, by_origin);
    return status;
}

static weir_status begin(struct retry *retry, unsigned flags, struct weir_error *reterr)
{
    const struct weir_metadata *metadata = retry->table->table->metadata;
    weir_ingest_free(retry->ingest);
    retry->ingest = NULL;
    return table_ingest(retry->options, retry->table,
                        weir_snapshot_id(retry->options->lake->context, metadata),
                        INGEST_AGAIN | flags, NULL, &retry->ingest, reterr);
}

/* Fields without a column get one, as in a window. */
static weir_status take_good(struct retry *retry, struct weir_error *reterr)
{
    WEIR_TRY(ingest_kept(retry, reterr));
    if (!weir_ingest_found(retry->ingest))
        return WEIR_OK;
    WEIR_TRY(table_grow(retry->options, retry->table, retry->ingest, reterr));
    WEIR_TRY(begin(retry, INGEST_GROWN, reterr));
    json_object_clear(retry->taken); /* the files written anew may be too many, not too few */
    for (size_t i = 0; i < retry->count; i++)
        retry->kept[i].taken = false;
    return ingest_kept(retry, reterr);
}

/* What is good now, or all of it: landed or let go, and the files that held it written anew. */
static weir_status act(struct retry *retry, json_t *outcome, struct weir_error *reterr)
{
    struct weir_ingest_result result;
    WEIR_TRY(begin(retry, 0, reterr));
    if (!retry->discard)
        WEIR_TRY(take_good(retry, reterr));
    for (size_t i = 0; retry->discard && i < retry->count; i++)
        WEIR_TRY(take(retry, &retry->kept[i], reterr));
    WEIR_TRY(rewrite_letters(retry, reterr));
    WEIR_TRY(weir_ingest_finish(retry->ingest, &result, reterr));
    json_object_set_new(outcome, "still_refused", json_integer(result.counts.refused));
    if (retry->discard)
        json_object_set_new(outcome, "discarded", json_integer((json_int_t)retry->count));
    return json_object_size(retry->files) ? land_retry(retry, &result, outcome, reterr) : WEIR_OK;
}

static void retry_done(struct retry *retry)
{
    weir_ingest_free(retry->ingest);
    weir_free(retry->kept);
    json_decref(retry->list);
    json_decref(retry->files);
    json_decref(retry->ranges);
    json_decref(retry->taken);
    weir_arena_done(&retry->arena);
}

/* The quarantine table follows the data commit: what an earlier run left is finished first, and a
 * run that dies before its own is finished is finished by the next. */
static weir_status retry_or_discard(const struct weir_window_options *options, const char *reason,
                                    bool discard, json_t **ret_outcome, struct weir_error *reterr)
{
    struct table_state table;
    WEIR_TRY(table_load(options, &table, reterr));
    struct retry retry = {.options = options,
                          .table = &table,
                          .reason = reason,
                          .discard = discard,
                          .files = json_object(),
                          .ranges = json_array(),
                          .taken = json_object()};
    weir_arena_init(&retry.arena, &options->lake->context->memory);
    json_t *outcome = outcome_new(options->table->name);
    weir_status status = table.table ? WEIR_OK
                                     : weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s yet",
                                                 options->table->name);
    if (status == WEIR_OK)
        status = table_sync_quarantine(options, &table, reterr);
    if (status == WEIR_OK)
        status = collect(&retry, reterr);
    if (status == WEIR_OK && retry.count)
        status = act(&retry, outcome, reterr);
    if (status == WEIR_OK && retry.count)
        status = table_sync_quarantine(options, &table, reterr);
    retry_done(&retry);
    table_done(&table);
    if (status == WEIR_OK)
        *ret_outcome = outcome;
    else
        json_decref(outcome);
    return status;
}

weir_status weir_quarantine_retry(const struct weir_window_options *options, const char *reason,
                                  json_t **ret_outcome, struct weir_error *reterr)
{
    return retry_or_discard(options, reason, false, ret_outcome, reterr);
}

weir_status weir_quarantine_discard(const struct weir_window_options *options, const char *reason,
                                    json_t **ret_outcome, struct weir_error *reterr)
{
    return retry_or_discard(options, reason, true, ret_outcome, reterr);
}
