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
    WEIR_TRY_OUT(status, weir_letters_read(lake, truth, &list, reterr));
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
    bool landed;
};

struct retry {
    const struct weir_window_options *options;
    struct table_state *table;
    struct weir_arena arena;
    const char *reason;
    struct kept *kept;
    size_t count, capacity;
    json_t *files; /* object: path -> true, of the letters used */
    json_t *taken; /* object: key -> [offset...] that landed */
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
    struct kept kept = {.partition = letter->partition, .row = letter->offset_or_row};
    char *text;
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
    json_object_set_new(retry->files, letter->file, json_true());
    retry->kept[retry->count++] = kept;
    return WEIR_OK;
}

static int by_origin(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* One record at a time tells which ones are good now; a run of the good ones is then landed in
 * order. */
static weir_status ingest_kept(struct retry *retry, struct weir_ingest *ingest,
                               struct weir_error *reterr)
{
    for (size_t i = 0; i < retry->count; i++) {
        struct kept *kept = &retry->kept[i];
        struct weir_run run = {.origin = {.topic = kept->topic,
                                          .partition = kept->partition,
                                          .path = kept->path,
                                          .rows = &kept->row},
                               .records = &kept->record,
                               .count = 1};
        struct weir_run_counts counts;
        WEIR_TRY(weir_ingest_runs(ingest, &run, 1, &counts, reterr));
        kept->landed = counts.landed == 1;
        if (!kept->landed)
            continue;
        json_t *list = json_object_get(retry->taken, kept->key);
        if (!list) {
            list = json_array();
            json_object_set_new(retry->taken, kept->key, list);
        }
        json_array_append_new(list, json_integer(kept->row));
    }
    return WEIR_OK;
}

/* None of them retried yet, and every file they came from still in force. */
static enum weir_test retry_test(void *self, const json_t *state)
{
    struct retry *retry = self;
    json_t *list;
    if (weir_letters_read(retry->options->lake, state, &list, NULL) != WEIR_OK)
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
    struct weir_ingest_result good = *result;
    good.letters = NULL; /* what is still bad stays where it is; its new copies are litter */
    good.letter_count = 0;
    struct landing landing;
    WEIR_TRY(landing_init(&landing, retry->options, retry->table, &good, reterr));
    json_object_set(landing.receipt, retry->discard ? "discarded" : "retried", retry->taken);
    struct weir_work work = {
        .kind = retry->discard ? "discard" : "retry",
        .operation = "append",
        .epoch = json_integer_value(json_object_get(retry->table->truth, "epoch")),
        .test = retry_test,
        .overlay = retry_overlay,
        .self = retry,
        .files = good.files,
        .file_count = good.file_count,
        .receipt = landing.receipt,
        .schema = retry->table->shape.changed ? &retry->table->shape.schema : NULL};
    enum weir_landing how;
    int64_t id = 0;
    weir_status status = weir_land(retry->options->lake, &retry->table->table, &work, &how, &id,
                                   reterr);
    landing_done(&landing);
    if (status == WEIR_OK && how != WEIR_LANDED)
        return weir_fail(reterr, WEIR_PRECONDITION,
                         "%s changed meanwhile; nothing was done, try again",
                         retry->options->table->name);
    if (status == WEIR_OK)
        outcome_result(outcome, &good, id);
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
    json_t *list;
    WEIR_TRY(weir_letters_read(retry->options->lake, retry->table->truth, &list, reterr));
    weir_status status = visit_all(&visiting, list, reterr);
    json_decref(list);
    if (status == WEIR_OK && retry->count)
        qsort(retry->kept, retry->count, sizeof *retry->kept, by_origin);
    return status;
}

static weir_status retry_good(struct retry *retry, json_t *outcome, struct weir_error *reterr)
{
    struct weir_ingest *ingest;
    struct weir_ingest_result result;
    WEIR_TRY(
        table_ingest(retry->options, retry->table,
                     weir_snapshot_id(retry->options->lake->context, retry->table->table->metadata),
                     &ingest, reterr));
    weir_status status = ingest_kept(retry, ingest, reterr);
    if (status == WEIR_OK)
        status = weir_ingest_finish(ingest, &result, reterr);
    if (status == WEIR_OK)
        json_object_set_new(outcome, "still_refused", json_integer(result.counts.refused));
    if (status == WEIR_OK && json_object_size(retry->taken))
        status = land_retry(retry, &result, outcome, reterr);
    weir_ingest_free(ingest);
    return status;
}

static weir_status discard_all(struct retry *retry, json_t *outcome, struct weir_error *reterr)
{
    for (size_t i = 0; i < retry->count; i++) {
        json_t *list = json_object_get(retry->taken, retry->kept[i].key);
        if (!list) {
            list = json_array();
            json_object_set_new(retry->taken, retry->kept[i].key, list);
        }
        json_array_append_new(list, json_integer(retry->kept[i].row));
    }
    struct weir_ingest_result none = {.reasons = json_object()};
    weir_status status = json_object_size(retry->taken) ? land_retry(retry, &none, outcome, reterr)
                                                        : WEIR_OK;
    json_decref(none.reasons);
    json_object_set_new(outcome, "discarded", json_integer((json_int_t)retry->count));
    return status;
}

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
                          .taken = json_object()};
    weir_arena_init(&retry.arena, &options->lake->context->memory);
    json_t *outcome = outcome_new(options->table->name);
    weir_status status = table.table ? WEIR_OK
                                     : weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s yet",
                                                 options->table->name);
    if (status == WEIR_OK)
        status = collect(&retry, reterr);
    if (status == WEIR_OK && retry.count)
        status = discard ? discard_all(&retry, outcome, reterr)
                         : retry_good(&retry, outcome, reterr);
    weir_free(retry.kept);
    json_decref(retry.files);
    json_decref(retry.taken);
    weir_arena_done(&retry.arena);
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
