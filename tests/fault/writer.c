/* What a writer does: windows, retries, epochs and columns, each by weir_land, and the quarantine
 * after it. */
#include "tests/fault/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 128

struct part {
    int partition;
    char key[512];
    int64_t from, to;
    int64_t landed, refused;
};

struct window {
    struct writer *writer;
    struct part parts[PARTS_MAX];
    int count;
    struct weir_data_file file, letters;
    char path[512], letters_path[512];
    json_t *receipt, *summary;
    const char *letter_file; /* a retry's */
    json_t *offsets;         /* a retry's: key -> [offset...] */
};

static void key_of(char key[512], int partition)
{
    weir_position_key(key, 512, "c", "t", 0, partition);
}

/* What a run may end with when stores and catalogs fail. Everything else is a bug. */
static weir_status ended(struct writer *writer, weir_status status, const struct weir_error *error,
                         const char *doing)
{
    struct world *world = writer->world;
    bool expected = status == WEIR_OK || status == WEIR_UNKNOWN_OUTCOME ||
                    status == WEIR_UNAVAILABLE || status == WEIR_PRECONDITION ||
                    status == WEIR_NO_SPACE || (status == WEIR_DECISION && world->cut);
    if (!expected)
        world_violated(world, "writer %d, %s: %s: %s", writer->number, doing,
                       weir_status_name(status), error->text);
    if (status == WEIR_DECISION)
        world->tallies[T_DECISION]++;
    else if (status != WEIR_OK)
        world->tallies[T_FAILED]++;
    if (world->trace)
        printf("%*swriter %d, %s: %s %s\n", 2 * world->depth, "", writer->number, doing,
               weir_status_name(status), status == WEIR_OK ? "" : error->text);
    return status;
}

/* ---- files ---------------------------------------------------------------------------------- */

static weir_status put_lines(struct writer *writer, const char *folder, const char *text,
                             int64_t rows, char path[512], struct weir_data_file *ret_file,
                             struct weir_error *reterr)
{
    char name[300];
    snprintf(name, sizeof name, "%s/%06lld-%d.txt", folder, (long long)++writer->world->objects,
             writer->number);
    WEIR_TRY(weir_put_own(&writer->lake, name, text, strlen(text), reterr));
    snprintf(path, 512, "%.200s/%s", writer->store.root_uri, name);
    *ret_file = (struct weir_data_file){.path = path,
                                        .format = "PARQUET",
                                        .record_count = rows,
                                        .file_size = (int64_t)strlen(text)};
    return WEIR_OK;
}

static weir_status write_files(struct window *window, struct weir_error *reterr)
{
    struct writer *writer = window->writer;
    WEIR_AUTO(weir_buffer) good = {.account = &writer->world->context.memory};
    WEIR_AUTO(weir_buffer) bad = {.account = &writer->world->context.memory};
    int64_t landed = 0, refused = 0;
    for (int i = 0; i < window->count; i++) {
        struct part *part = &window->parts[i];
        for (int64_t offset = part->from; offset < part->to; offset++) {
            bool is_bad = world_is_bad(part->partition, offset);
            WEIR_TRY(weir_buffer_print(is_bad ? &bad : &good, reterr, "%d %lld\n", part->partition,
                                       (long long)offset));
            part->refused += is_bad;
            part->landed += !is_bad;
        }
        landed += part->landed;
        refused += part->refused;
    }
    if (landed)
        WEIR_TRY(put_lines(writer, "bronze/t/data", (const char *)good.data, landed, window->path,
                           &window->file, reterr));
    if (refused)
        WEIR_TRY(put_lines(writer, "_weir/letters/t", (const char *)bad.data, refused,
                           window->letters_path, &window->letters, reterr));
    return WEIR_OK;
}

/* The summary says what epoch the work was computed in: check.c looks whether it landed in it. */
static void make_receipt(struct window *window, const json_t *state)
{
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%lld",
             (long long)json_integer_value(json_object_get(state, "epoch")));
    window->summary = json_pack("{s:s}", "work.epoch", epoch);
    json_t *ranges = json_object();
    for (int i = 0; i < window->count; i++) {
        const struct part *part = &window->parts[i];
        if (part->to > part->from)
            json_object_set_new(ranges, part->key,
                                json_pack("{s:I, s:I, s:I, s:I, s:i, s:i}", "from",
                                          (json_int_t)part->from, "to", (json_int_t)part->to,
                                          "landed", (json_int_t)part->landed, "refused",
                                          (json_int_t)part->refused, "filtered", 0, "erased", 0));
    }
    window->receipt = json_pack("{s:I, s:s, s:o}", "rows", (json_int_t)window->file.record_count,
                                "row_hash", "00000000000000000000000000000000", "ranges", ranges);
}

/* ---- a window ------------------------------------------------------------------------------- */

/* protocol.md 4, as the program's own windows compare. */
static enum weir_test window_test(void *self, const json_t *state)
{
    const struct window *window = self;
    bool equal = true, past = true;
    for (int i = 0; i < window->count; i++) {
        int64_t next = weir_position_get(state, window->parts[i].key, "next");
        if (window->parts[i].to == window->parts[i].from)
            continue;
        equal &= next == window->parts[i].from;
        past &= next >= window->parts[i].to;
    }
    return equal ? WEIR_TEST_GO : past ? WEIR_TEST_DONE : WEIR_TEST_DROP;
}

static weir_status window_overlay(void *self, json_t *state, int64_t snapshot_id,
                                  struct weir_error *reterr)
{
    struct window *window = self;
    for (int i = 0; i < window->count; i++)
        if (window->parts[i].to > window->parts[i].from)
            WEIR_TRY(weir_position_set(state, window->parts[i].key, 0, window->parts[i].to, NULL,
                                       reterr));
    if (!window->letters.path)
        return WEIR_OK;
    json_t *list;
    WEIR_TRY(weir_letters_read(&window->writer->lake, state, WEIR_LETTERS, &list, reterr));
    json_array_append_new(json_object_get(list, "files"),
                          weir_data_file_to_json(&window->letters, "none"));
    weir_status status = weir_letters_write(&window->writer->lake, "t", snapshot_id, WEIR_LETTERS,
                                            list, state, reterr);
    json_decref(list);
    return status;
}

static weir_status table_born(struct writer *writer, struct weir_table **ret_table,
                              struct weir_error *reterr)
{
    struct weir_arena arena;
    struct weir_schema schema = {0};
    struct weir_partition_spec spec = {0};
    int32_t last = 0;
    char key[512];
    bool made;
    weir_arena_init(&arena, &writer->world->context.memory);
    json_t *state = weir_state_new();
    weir_status status = weir_type_parse(&arena, "struct<p: int, o: long>", &schema.root, reterr);
    weir_type_assign_ids(&schema.root, &last);
    for (int i = 0; status == WEIR_OK && i < writer->world->partitions; i++) {
        key_of(key, i);
        status = weir_position_set(state, key, 0, 0, NULL, reterr);
    }
    struct weir_birth birth = {
        .name = TABLE_NAME, .schema = &schema, .spec = &spec, .state = state};
    if (status == WEIR_OK)
        status = weir_table_create(&writer->lake, &birth, ret_table, &made, reterr);
    json_decref(state);
    weir_arena_done(&arena);
    return status;
}

/* The table, sometimes as it was known before. */
static weir_status table_of(struct writer *writer, struct weir_table **ret_table,
                            struct weir_error *reterr)
{
    const struct weir_catalog *catalog = &writer->lake.catalog;
    if (writer->stale && !writer->partitions && world_chance(writer->world, 200)) {
        *ret_table = writer->stale;
        writer->stale = NULL;
        return WEIR_OK;
    }
    weir_status status = catalog->operations->load(catalog->self, TABLE_NAME, ret_table, reterr);
    return status == WEIR_NOT_FOUND ? table_born(writer, ret_table, reterr) : status;
}

static void plan(struct window *window, const json_t *state, int64_t records)
{
    struct world *world = window->writer->world;
    const struct writer *writer = window->writer;
    bool all = world->partitions > 8 || writer->partitions || world_chance(world, 400);
    for (int i = 0; i < world->partitions && window->count < PARTS_MAX; i++) {
        bool wanted = i < 64 ? writer->partitions >> i & 1 : writer->partitions == UINT64_MAX;
        if (writer->partitions ? !wanted : !all && !world_chance(world, 600))
            continue;
        struct part *part = &window->parts[window->count++];
        part->partition = i;
        key_of(part->key, i);
        part->from = weir_position_get(state, part->key, "next");
        part->to = part->from + (writer->partitions
                                     ? records
                                     : (int64_t)world_below(world, (uint64_t)records + 1));
    }
}

/* An epoch once raised holds, also when the snapshot that raised it was rolled back. */
static void believe_epoch(struct window *window, const struct weir_table *table, int64_t id)
{
    struct world *world = window->writer->world;
    struct weir_snapshot snapshot;
    int64_t of = atoll(json_string_value(json_object_get(window->summary, "work.epoch")));
    if (weir_metadata_snapshot(table->metadata, id, &snapshot) && of < world->epoch &&
        snapshot.sequence_number > world->epoch_sequence)
        world_violated(world, "writer %d landed work of epoch %lld after epoch %lld was raised",
                       window->writer->number, (long long)of, (long long)world->epoch);
}

/* Was what weir_land said true? */
static void believe(struct window *window, enum weir_landing landing, int64_t id, bool moved)
{
    struct world *world = window->writer->world;
    struct weir_table *table;
    json_t *state = NULL;
    int64_t head;
    static const enum tally tallies[] = {T_LANDED, T_SUPERSEDED, T_ABANDONED};
    world->tallies[tallies[landing]]++;
    if (landing == WEIR_ABANDONED || world_load(world, TABLE_NAME, &table) != WEIR_OK)
        return;
    if (landing == WEIR_LANDED && world->landed_count < 4096)
        world->landed[world->landed_count++] = id;
    bool still = !moved && !world->rewound && !world->cut;
    if (landing == WEIR_LANDED)
        believe_epoch(window, table, id);
    if (still && landing == WEIR_LANDED &&
        (!weir_metadata_ref(table->metadata, "main", &head) ||
         !weir_metadata_is_ancestor(table->metadata, id, head)))
        world_violated(world, "writer %d was told that snapshot %lld landed; it did not",
                       window->writer->number, (long long)id);
    if (still && landing == WEIR_SUPERSEDED &&
        weir_truth(&world->observer.store, &world->context.memory, table->metadata, "main", &state,
                   NULL) == WEIR_OK &&
        window_test(window, state) != WEIR_TEST_DONE)
        world_violated(world, "writer %d was told that its work was done; it is not",
                       window->writer->number);
    json_decref(state);
    weir_table_free(table);
}

static weir_status land(struct window *window, struct weir_table **table, const json_t *state,
                        const char *kind, const struct weir_schema *schema,
                        enum weir_landing *ret_landing, struct weir_error *reterr)
{
    struct world *world = window->writer->world;
    make_receipt(window, state);
    struct weir_work work = {.kind = kind,
                             .operation = "append",
                             .epoch = json_integer_value(json_object_get(state, "epoch")),
                             .test = window_test,
                             .overlay = window_overlay,
                             .self = window,
                             .files = &window->file,
                             .file_count = window->file.path ? 1 : 0,
                             .summary = window->summary,
                             .receipt = window->receipt,
                             .schema = schema};
    int64_t id = 0;
    bool moved = world->rewound || world->cut;
    weir_status status = weir_land(&window->writer->lake, table, &work, ret_landing, &id, reterr);
    if (status == WEIR_OK)
        believe(window, *ret_landing, id, moved);
    if (world->trace) {
        printf("%*swriter %d, %s of %s:", 2 * world->depth, "", window->writer->number, kind,
               window->file.path ? window->file.path + strlen(window->file.path) - 12 : "nothing");
        for (int i = 0; i < window->count; i++)
            printf(" %d [%lld, %lld)", window->parts[i].partition, (long long)window->parts[i].from,
                   (long long)window->parts[i].to);
        printf(", landing %d, snapshot %lld\n", (int)*ret_landing, (long long)id);
    }
    json_decref(window->receipt);
    json_decref(window->summary);
    return status;
}

static weir_status sync_quarantine(struct writer *writer, const struct weir_table *table,
                                   struct weir_error *reterr)
{
    struct weir_arena arena;
    struct weir_schema schema = {0};
    struct weir_partition_spec spec = {0};
    struct weir_table *quarantine = NULL;
    int32_t last = 0;
    weir_arena_init(&arena, &writer->world->context.memory);
    json_t *properties = json_pack("{s:s}", "of", "world"), *state = weir_state_new();
    weir_status status = weir_type_parse(&arena, "struct<raw: binary>", &schema.root, reterr);
    weir_type_assign_ids(&schema.root, &last);
    struct weir_birth birth = {.name = TABLE_NAME "__quarantine",
                               .schema = &schema,
                               .spec = &spec,
                               .properties = properties,
                               .state = state};
    if (status == WEIR_OK)
        status = weir_quarantine_sync(&writer->lake, table, WEIR_LETTERS, &birth, &quarantine,
                                      reterr);
    weir_table_free(quarantine);
    json_decref(properties);
    json_decref(state);
    weir_arena_done(&arena);
    return status;
}

static weir_status truth_of(struct writer *writer, const struct weir_table *table,
                            json_t **ret_state, struct weir_error *reterr)
{
    return weir_truth(&writer->store, &writer->world->context.memory, table->metadata, "main",
                      ret_state, reterr);
}

/* `column` NULL: none is added. */
static weir_status window_with(struct writer *writer, int64_t records, const char *column,
                               enum weir_landing *ret_landing, struct weir_error *reterr)
{
    struct world *world = writer->world;
    struct window *window = calloc(1, sizeof *window);
    struct weir_table *table = NULL;
    json_t *state = NULL;
    struct weir_arena arena;
    struct weir_schema schema = {0};
    if (!window)
        abort();
    window->writer = writer;
    weir_arena_init(&arena, &world->context.memory);
    weir_status status;
    WEIR_TRY_OUT(status, table_of(writer, &table, reterr));
    WEIR_TRY_OUT(status, truth_of(writer, table, &state, reterr));
    plan(window, state, records);
    WEIR_TRY_OUT(status, write_files(window, reterr));
    if (column) {
        int32_t last = weir_metadata_last_column_id(table->metadata);
        const struct weir_type *root = &weir_metadata_schema(table->metadata)->root;
        WEIR_AUTO(weir_buffer) text = {.account = &world->context.memory};
        struct weir_type *wider;
        struct weir_field *fields;
        WEIR_TRY_OUT(status, weir_arena_zero(&arena, 1, sizeof *wider, &wider, reterr));
        WEIR_TRY_OUT(status, weir_type_copy(&arena, root, wider, reterr));
        WEIR_TRY_OUT(status, weir_arena_zero(&arena, root->child_count + 1, sizeof *fields, &fields,
                                             reterr));
        memcpy(fields, wider->children, root->child_count * sizeof *fields);
        fields[root->child_count] = (struct weir_field){.name = column, .type = {.id = WEIR_LONG}};
        wider->children = fields;
        wider->child_count++;
        weir_type_assign_ids(wider, &last);
        schema.root = *wider;
    }
    status = land(window, &table, state, "window", column ? &schema : NULL, ret_landing, reterr);
    if (status == WEIR_OK && (writer->partitions ? writer->syncs : world_chance(world, 700)))
        status = sync_quarantine(writer, table, reterr);
out:
    weir_table_free(writer->stale);
    writer->stale = table;
    json_decref(state);
    weir_arena_done(&arena);
    free(window);
    return status;
}

weir_status writer_window(struct writer *writer, int64_t records, enum weir_landing *ret_landing)
{
    struct weir_error error = {0};
    writer->busy = true;
    weir_status status = window_with(writer, records, NULL, ret_landing, &error);
    writer->busy = false;
    return ended(writer, status, &error, "window");
}

weir_status writer_column(struct writer *writer, const char *column, enum weir_landing *ret_landing)
{
    struct weir_error error = {0};
    writer->busy = true;
    weir_status status = window_with(writer, 4, column, ret_landing, &error);
    writer->busy = false;
    writer->world->tallies[T_SCHEMAS] += status == WEIR_OK && *ret_landing == WEIR_LANDED;
    return ended(writer, status, &error, "column");
}

/* ---- the rest ------------------------------------------------------------------------------- */

/* Loads the table and does something to it; a table that is not there yet is nothing to do. */
static weir_status with_table(struct writer *writer, const char *doing,
                              weir_status (*act)(struct writer *writer, struct weir_table **table,
                                                 struct weir_error *reterr))
{
    struct weir_error error = {0};
    struct weir_table *table = NULL;
    const struct weir_catalog *catalog = &writer->lake.catalog;
    writer->busy = true;
    weir_status status = catalog->operations->load(catalog->self, TABLE_NAME, &table, &error);
    if (status == WEIR_OK)
        status = act(writer, &table, &error);
    else if (status == WEIR_NOT_FOUND)
        status = WEIR_OK;
    weir_table_free(table);
    writer->busy = false;
    return ended(writer, status, &error, doing);
}

static weir_status act_sync(struct writer *writer, struct weir_table **table,
                            struct weir_error *reterr)
{
    return sync_quarantine(writer, *table, reterr);
}

weir_status writer_sync(struct writer *writer)
{
    return with_table(writer, "sync", act_sync);
}

static weir_status raise_epoch(void *self, json_t *state, int64_t snapshot_id,
                               struct weir_error *reterr)
{
    int64_t epoch = json_integer_value(json_object_get(state, "epoch"));
    return json_object_set_new(state, "epoch", json_integer(epoch + 1)) == 0
               ? WEIR_OK
               : weir_fail(reterr, WEIR_NO_MEMORY, "no memory");
}

static weir_status act_epoch(struct writer *writer, struct weir_table **table,
                             struct weir_error *reterr)
{
    json_t *state;
    enum weir_landing landing = WEIR_ABANDONED;
    if (!writer->world->manners.epochs)
        return WEIR_OK;
    WEIR_TRY(truth_of(writer, *table, &state, reterr));
    struct weir_work work = {.kind = "sweep",
                             .operation = "append",
                             .epoch = json_integer_value(json_object_get(state, "epoch")),
                             .overlay = raise_epoch};
    json_decref(state);
    int64_t id = 0;
    weir_status status = weir_land(&writer->lake, table, &work, &landing, &id, reterr);
    struct world *world = writer->world;
    struct weir_snapshot snapshot;
    if (status != WEIR_OK || landing != WEIR_LANDED)
        return status;
    world->tallies[T_EPOCHS]++;
    if (work.epoch + 1 > world->epoch &&
        weir_metadata_snapshot((*table)->metadata, id, &snapshot)) {
        world->epoch = work.epoch + 1;
        world->epoch_sequence = snapshot.sequence_number;
    }
    return status;
}

weir_status writer_epoch(struct writer *writer)
{
    return with_table(writer, "epoch", act_epoch);
}

/* ---- retry: one letters file whole, by identity --------------------------------------------- */

static enum weir_test retry_test(void *self, const json_t *state)
{
    struct window *window = self;
    json_t *list, *offsets, *offset;
    const char *key;
    size_t at;
    if (weir_letters_read(&window->writer->lake, state, WEIR_LETTERS, &list, NULL) != WEIR_OK)
        return WEIR_TEST_DROP;
    bool all = false;
    json_array_foreach(json_object_get(list, "files"), at, offset)
        all |= strcmp(json_string_value(json_object_get(offset, "path")), window->letter_file) == 0;
    json_decref(list);
    json_object_foreach(window->offsets, key, offsets) json_array_foreach(offsets, at, offset)
        all &= !weir_intervals_has(state, "retried", key, json_integer_value(offset));
    return all ? WEIR_TEST_GO : WEIR_TEST_DROP;
}

static weir_status retry_overlay(void *self, json_t *state, int64_t snapshot_id,
                                 struct weir_error *reterr)
{
    struct window *window = self;
    json_t *offsets, *offset;
    const char *key;
    size_t at;
    json_object_foreach(window->offsets, key, offsets) json_array_foreach(offsets, at, offset)
        WEIR_TRY(weir_intervals_add(state, "retried", key, json_integer_value(offset),
                                    json_integer_value(offset) + 1, reterr));
    json_t *gone = json_pack("{s:b}", window->letter_file, 1);
    weir_status status = weir_letters_change(&window->writer->lake, "t", snapshot_id, WEIR_LETTERS,
                                             gone, NULL, state, reterr);
    json_decref(gone);
    return status;
}

/* The offsets of a letters file as the retry's, and its text as a data file. */
static weir_status take_letters(struct window *window, struct weir_error *reterr)
{
    struct writer *writer = window->writer;
    WEIR_AUTO(weir_buffer) text = {.account = &writer->world->context.memory};
    WEIR_TRY(writer->store.operations->get(writer->store.self,
                                           weir_store_name(&writer->store, window->letter_file), 0,
                                           UINT64_MAX, &text, NULL, reterr));
    WEIR_TRY(weir_buffer_append(&text, "", 1, reterr));
    int64_t rows = 0;
    char *line = (char *)text.data, *end, key[512];
    for (; *line; line = end + (*end == '\n')) {
        key_of(key, (int)strtol(line, &end, 10));
        json_t *list = json_object_get(window->offsets, key);
        if (!list) {
            list = json_array();
            json_object_set_new(window->offsets, key, list);
        }
        json_array_append_new(list, json_integer(strtoll(end, &end, 10)));
        rows++;
    }
    return put_lines(writer, "bronze/t/data", (const char *)text.data, rows, window->path,
                     &window->file, reterr);
}

static weir_status land_retry(struct window *window, struct weir_table **table, const json_t *state,
                              struct weir_error *reterr)
{
    struct weir_work work = {.kind = "retry",
                             .operation = "append",
                             .epoch = json_integer_value(json_object_get(state, "epoch")),
                             .test = retry_test,
                             .overlay = retry_overlay,
                             .self = window,
                             .files = &window->file,
                             .file_count = 1};
    enum weir_landing landing;
    WEIR_TRY(take_letters(window, reterr));
    make_receipt(window, state);
    work.receipt = window->receipt;
    work.summary = window->summary;
    weir_status status = weir_land(&window->writer->lake, table, &work, &landing, NULL, reterr);
    window->writer->world->tallies[T_RETRIED] += status == WEIR_OK && landing == WEIR_LANDED;
    return status;
}

static weir_status act_retry(struct writer *writer, struct weir_table **table,
                             struct weir_error *reterr)
{
    json_t *state = NULL, *list = NULL;
    struct window *window = calloc(1, sizeof *window);
    if (!window)
        abort();
    *window = (struct window){.writer = writer, .offsets = json_object()};
    weir_status status;
    WEIR_TRY_OUT(status, truth_of(writer, *table, &state, reterr));
    WEIR_TRY_OUT(status, weir_letters_read(&writer->lake, state, WEIR_LETTERS, &list, reterr));
    size_t count = json_array_size(json_object_get(list, "files"));
    if (count == 0)
        goto out;
    window->letter_file = json_string_value(json_object_get(
        json_array_get(json_object_get(list, "files"), world_below(writer->world, count)), "path"));
    status = land_retry(window, table, state, reterr);
out:
    json_decref(window->receipt);
    json_decref(window->summary);
    json_decref(window->offsets);
    json_decref(state);
    json_decref(list);
    free(window);
    return status;
}

weir_status writer_retry(struct writer *writer)
{
    return with_table(writer, "retry", act_retry);
}
